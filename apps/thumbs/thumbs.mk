# Included by apps.mk: thumbnails by sandboxed decoders. The libraries that are
# linked are for --native, and libpng to write thumbnails.

THUMBS_O := $(call obj,obj,$(wildcard apps/thumbs/*.c))

tests-bin: $(B)/dune-thumbs
$(B)/dune-thumbs: $(THUMBS_O) $(B)/libdune.a
	@echo "  LD      $@"
	$(Q)$(CC) $(ALL_CFLAGS) -pie $(LDFLAGS) -o $@ $^ -lpng -ljpeg -lgif \
		-lwebp

tests-bin: $(B)/tests/plugin/tool/images
$(B)/tests/plugin/tool/images: tests/plugin/tool/images.c
	@echo "  TEST    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -D_GNU_SOURCE -std=gnu11 -O1 -g -Wall -o $@ $< -lpng -ljpeg \
		-lgif -lwebp
