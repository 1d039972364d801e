# Included by apps.mk: the garbage collector, as a library. What a program does
# not name is not linked: without gc_os_dune it needs no libdune.

GC_C	:= $(wildcard apps/gc/*.c)
GC_LIB	:= $(B)/libdune-gc.a
GC_OWN	:= $(filter-out apps/gc/os-dune.c,$(GC_C))	# needs Linux alone

all: $(GC_LIB)
$(GC_LIB): $(B)/obj/apps/gc/libgc.o $(B)/obj/apps/gc/os-dune.o

# Inner names are made local. os-dune.o is a member of its own.
$(B)/obj/apps/gc/libgc.o: $(call obj,obj,$(GC_OWN)) $(wildcard apps/gc/*.h)
	$(Q)grep -ohE '^(extern.*|[a-z].*\()' apps/gc/gc.h apps/gc/os.h | \
		grep -oE 'gc_[a-z_]+' > $(@D)/exports
	$(Q)$(LD) -r -o $@ $(filter %.o,$^)
	$(Q)objcopy --keep-global-symbols=$(@D)/exports $@

.PHONY: install-gc uninstall-gc
install: install-gc
install-gc: $(GC_LIB)
	install -d $(D)/lib/pkgconfig $(D)/include
	install -m 644 $(GC_LIB) $(D)/lib
	install -m 644 apps/gc/gc.h $(D)/include/dune-gc.h
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' \
		apps/gc/dune-gc.pc.in > $(D)/lib/pkgconfig/dune-gc.pc
uninstall: uninstall-gc
uninstall-gc:
	rm -f $(D)/lib/libdune-gc.a $(D)/include/dune-gc.h \
		$(D)/lib/pkgconfig/dune-gc.pc

# Tests have it compiled with what makes it forget dirty pages.
GC_TEST	:= -DGC_TEST
$(B)/tests/unit-gc-%: tests/unit/gc-%.c $(GC_OWN) $(wildcard apps/gc/*.h) \
		$(wildcard tests/unit/gc-*.h)
	@echo "  TEST    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(GC_TEST) $(ALL_CFLAGS) -o $@ \
		$(filter %.c,$^) -lcmocka
$(B)/tests-asan/unit-gc-%: tests/unit/gc-%.c $(GC_OWN) $(wildcard apps/gc/*.h) \
		$(wildcard tests/unit/gc-*.h)
	@echo "  TEST    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(GC_TEST) $(ALL_CFLAGS) $(SAN_asan) -o $@ \
		$(filter %.c,$^) -lcmocka

GC_PROG	= $(DUNE_PROG_CC) -O2 $(GC_TEST)
$(B)/tests/dune/collector: tests/dune/prog/collector.c $(GC_C) \
		$(wildcard apps/gc/*.h) $(wildcard tests/unit/gc-*.h) $(B)/libdune.a
	@echo "  GUEST   $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(GC_PROG) -static -Wl,-S -o $@ $(filter %.c %.a,$^)
$(B)/tests/dune-so/collector: tests/dune/prog/collector.c $(GC_C) \
		$(wildcard apps/gc/*.h) $(wildcard tests/unit/gc-*.h) $(B)/libdune.so
	@echo "  GUEST   $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(GC_PROG) -o $@ $(filter %.c %.so,$^) -Wl,-rpath,'$$ORIGIN/../..'

include bench/gc/gc.mk
