# Included by apps.mk: a host for plugins that users write, and an example.

all: $(B)/dune-plughost
tests-bin: $(B)/plughost/example.so
$(B)/dune-plughost: apps/plughost/main.c apps/plughost/plugin.h $(B)/libdune.a
	@echo "  LD      $@"
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -pie $(LDFLAGS) -o $@ \
		$(filter %.c %.o %.a,$^)
$(B)/plughost/%.so: apps/plughost/%.c apps/plughost/plugin.h
	@echo "  PLUGIN  $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -shared -fPIC -O2 -o $@ $<
