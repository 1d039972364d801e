# Included by apps.mk: thumbnails by sandboxed decoders. The libraries that are
# linked are for --native, and libpng to write thumbnails.

THUMBS_O := $(call obj,obj,$(filter-out %/in-box.c,$(wildcard \
	    apps/thumbs/*.c)) apps/thumbs/glue.S)

# What is loaded beside the libraries, and comes along as data.
BOX_GLUE := $(B)/thumbs/in-box.so
$(BOX_GLUE): $(addprefix apps/thumbs/,in-box.c whole.c in-box.h whole.h)
	@echo "  PLUGIN  $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(WARN) -O2 -shared -fPIC -o $@ \
		$(filter %.c,$^) -lpng16 -ljpeg -lwebp
$(B)/obj/apps/thumbs/glue.o: $(BOX_GLUE)
$(B)/obj/apps/thumbs/glue.o: CPPFLAGS += -DBOX_GLUE='"$(BOX_GLUE)"'

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
