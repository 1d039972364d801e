# Programs that enter Dune mode: tests/dune/prog/*.c, linked with the archive
# into tests/dune/ (static, for the emulated machines) and with the shared
# library into tests/dune-so/. And what runs in the sandbox (tests/kvm/guest),
# put into Dune mode by what is else preloaded, into tests/dune-guest/.

DUNE_PROG := $(patsubst tests/dune/prog/%.c,%,$(wildcard tests/dune/prog/*.c))
DUNE_PROG_CC = $(CC) $(CPPFLAGS) -std=gnu11 $(WARN) -O1 -g -pthread

.PHONY: dune-tests
tests-bin: dune-tests
dune-tests: $(DUNE_PROG:%=$(B)/tests/dune/%) \
	    $(DUNE_PROG:%=$(B)/tests/dune-so/%) $(GUEST:%=$(B)/tests/dune-guest/%)

$(B)/tests/dune/%: tests/dune/prog/%.c $(wildcard tests/dune/prog/*.h) \
		tests/kvm/guest/guest.h $(B)/libdune.a
	@echo "  GUEST   $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(DUNE_PROG_CC) -static -Wl,-S -o $@ $< $(B)/libdune.a -lm
$(B)/tests/dune-so/%: tests/dune/prog/%.c $(wildcard tests/dune/prog/*.h) \
		tests/kvm/guest/guest.h $(B)/libdune.so
	@echo "  GUEST   $@"
	$(Q)mkdir -p $(@D)
	$(Q)ln -sf libdune.so $(B)/$(SONAME)
	$(Q)$(DUNE_PROG_CC) -o $@ $< $(B)/libdune.so -lm \
		-Wl,-rpath,'$$ORIGIN/../..'
$(B)/tests/dune-guest/%: tests/kvm/guest/%.c apps/preload/preload.c \
		tests/kvm/guest/guest.h $(B)/libdune.a
	@echo "  GUEST   $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(DUNE_PROG_CC) -Wno-all -Wno-extra -static -Wl,-S -o $@ $< \
		apps/preload/preload.c $(B)/libdune.a -lm
