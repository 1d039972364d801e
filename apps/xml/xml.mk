# Included by apps.mk: XML by a sandboxed parser. The library that is linked is
# for --native.

XML_O := $(call obj,obj,$(wildcard apps/xml/*.c))

tests-bin: $(B)/dune-xml
$(B)/dune-xml: $(XML_O) $(B)/libdune.a
	@echo "  LD      $@"
	$(Q)$(CC) $(ALL_CFLAGS) -pie $(LDFLAGS) -o $@ $^ -lexpat
