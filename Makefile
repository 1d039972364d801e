# Dune: `make run` shows it, `make check` tests it, `make` builds it.
#
# CC=clang works as well as gcc. V=1 shows the commands.

VERSION	:= 0.1.0
B	:= build
PREFIX	?= /usr/local
DESTDIR	?=
CC	?= cc
CLANG	?= $(firstword $(shell command -v clang || command -v clang-14) clang)
Q	:= $(if $(V),,@)

WARN	:= -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	   -Wvla -Wundef -Wpointer-arith
CPPFLAGS += -I. -Ilibdune/include -I$(B)/gen -D_GNU_SOURCE -DDUNE_VERSION='"$(VERSION)"'
CFLAGS	?= -O2 -g
ALL_CFLAGS = -std=gnu11 $(WARN) -fno-strict-aliasing -fstack-protector-strong \
	   -fPIE -pthread $(CFLAGS)
# The monitor is a static PIE: the low 80 TiB of its address space stay free
# for the guest, and executing itself costs no dynamic linking.
LDLIBS	:= -lseccomp -lcap
LDSTATIC := -static-pie -pthread -Wl,-z,relro,-z,now,-z,noexecstack

# kern/self is Dune mode's, and only libdune's.
KERN_C	:= $(filter-out kern/self/%,$(wildcard kern/*.c kern/*/*.c))
KERN_S	:= $(filter-out kern/self/%,$(wildcard kern/*/*.S))
RUN_C	:= $(wildcard apps/dune-run/*.c)
CHECK_C	:= $(wildcard apps/dune-check/*.c)
UNIT	:= $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/*.c))
FUZZ	:= $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c))
GUEST	:= $(patsubst tests/kvm/guest/%.c,%,$(wildcard tests/kvm/guest/*.c))
HOSTILE	:= $(patsubst tests/hostile/%.c,%,$(wildcard tests/hostile/*.c))

obj	= $(patsubst %,$(B)/$(1)/%.o,$(basename $(2)))
KERN_O	= $(call obj,$(1),$(KERN_C) $(KERN_S))

# Seccomp filters are compiled by libseccomp here, not at every start.
GEN	:= $(B)/gen/filters.inc
$(GEN): $(B)/gen/gen-filters
	$(Q)$< > $@.tmp && mv $@.tmp $@
$(B)/gen/gen-filters: kern/policy/gen/gen-filters.c \
		$(filter-out %/policy/seccomp.o,$(call KERN_O,obj))
	@echo "  GEN     $(GEN)"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -pie -o $@ $^ $(LDLIBS)
$(foreach d,obj asan fuzz,$(B)/$(d)/kern/policy/seccomp.o): $(GEN)

.PHONY: all help tests-bin fuzz-bin clean run install uninstall
all: $(B)/dune-run $(B)/dune-check $(B)/libdune.a $(B)/libdune.so

$(B)/dune-run: $(call obj,obj,$(RUN_C)) $(B)/libkern.a
$(B)/dune-check: $(call obj,obj,$(CHECK_C)) $(B)/libkern.a
$(B)/dune-run $(B)/dune-check:
	@echo "  LD      $@"
	$(Q)$(CC) $(ALL_CFLAGS) $(LDSTATIC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# libdune: what users link. Position-independent objects of their own, hidden
# but for what dune.map lists; in the archive one relocatable object whose
# inner names are made local as well.
LIB_C	:= $(wildcard libdune/*.c kern/self/*.c kern/vm/*.c) kern/err.c \
	   $(addprefix kern/,mm/region.c mm/uaccess.c sys/batch.c sys/span.c \
	     $(addprefix task/,signal.c signal_host.c signal_sys.c \
	       signal_trap.c sigframe.c))
LIB_S	:= $(wildcard libdune/*.S kern/self/*.S kern/vm/*.S) \
	   kern/mm/uaccess_copy.S kern/task/hostcall.S
include libdune/sandbox/sandbox.mk
LIB_O	:= $(call obj,pic,$(LIB_C) $(LIB_S))
SONAME	:= libdune.so.$(firstword $(subst ., ,$(VERSION)))

# Trap code of the library runs before FPU registers are saved.
TRAP_O	:= $(patsubst %.c,%.o,libdune/trap.c libdune/page.c libdune/userview.c \
	     libdune/mode.c libdune/attach.c libdune/privileged.c libdune/decode.c \
	     libdune/softdirty.c libdune/gcfault.c \
	     $(wildcard libdune/vm*.c libdune/emulate*.c))
$(addprefix $(B)/pic/,$(TRAP_O)) $(addprefix $(B)/self-asan/,$(TRAP_O)): \
	ALL_CFLAGS += -mgeneral-regs-only -fno-stack-protector
# Bound at the start and to itself: where a page fault is resolved, nothing
# outside the library may be touched.
LD_SO	= $(CC) -shared -pthread -Wl,-soname,$(SONAME),-z,defs,-z,noexecstack \
		-Wl,-z,now,-Bsymbolic-functions \
		-Wl,--version-script=libdune/dune.map $(LDFLAGS) -o $@
$(B)/libdune.so: $(LIB_O) libdune/dune.map
	@echo "  LD      $@"
	$(Q)$(LD_SO) $(LIB_O)
$(B)/libdune.a: $(LIB_O) libdune/dune.map
	@echo "  AR      $@"
	$(Q)$(LD) -r -o $(B)/pic/libdune.o $(LIB_O)
	$(Q)sed -n 's/^\t\t\([a-z_0-9]*\);/\1/p' libdune/dune.map > $(B)/exports
	$(Q)objcopy --keep-global-symbols=$(B)/exports $(B)/pic/libdune.o
	$(Q)rm -f $@ && ar rcs $@ $(B)/pic/libdune.o

# The same code three times: as shipped, under ASan and UBSan for the unit
# tests, and with clang's fuzzer.
SAN_asan := -fsanitize=address,undefined -fno-sanitize-recover=undefined
SAN_fuzz := -fsanitize=fuzzer-no-link,address,undefined \
	    -fno-sanitize-recover=undefined
$(B)/libkern.a: $(call KERN_O,obj)
$(B)/libkern-asan.a: $(call KERN_O,asan)
$(B)/libkern-fuzz.a: $(call KERN_O,fuzz)
# libdune with its inner names, for tests of its parts.
$(B)/libself.a: $(LIB_O)
$(B)/libself-asan.a: $(call obj,self-asan,$(LIB_C) $(LIB_S))
$(B)/libself-fuzz.a: $(call obj,self-fuzz,$(LIB_C) $(LIB_S))
$(B)/lib%.a:
	@echo "  AR      $@"
	$(Q)rm -f $@ && ar rcs $@ $^

$(B)/obj/%.o: %.c
	@echo "  CC      $<"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
$(B)/obj/%.o: %.S
	@echo "  AS      $<"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
# -DDUNE_SELF: the guest is this process, so its memory is all of it.
$(B)/pic/%.o: %.c
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -DDUNE_SELF $(ALL_CFLAGS) -fPIC -MMD -MP -c -o $@ $<
$(B)/pic/%.o: %.S
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -DDUNE_SELF $(ALL_CFLAGS) -fPIC -MMD -MP -c -o $@ $<
$(B)/self-asan/%.o: %.c
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -DDUNE_SELF $(ALL_CFLAGS) $(SAN_asan) -MMD -MP -c -o $@ $<
$(B)/self-asan/%.o: %.S
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -DDUNE_SELF $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
$(B)/self-fuzz/%.o: %.c
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS) -DDUNE_SELF $(ALL_CFLAGS) $(SAN_fuzz) -MMD -MP -c -o $@ $<
$(B)/self-fuzz/%.o: %.S
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS) -DDUNE_SELF $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
$(B)/asan/%.o: %.c
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(SAN_asan) -MMD -MP -c -o $@ $<
$(B)/asan/%.o: %.S
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
$(B)/fuzz/%.o: %.c
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS) $(ALL_CFLAGS) $(SAN_fuzz) -MMD -MP -c -o $@ $<
$(B)/fuzz/%.o: %.S
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Tests: unit-* (no KVM), guest programs, hostile guest programs, fuzzers.
tests-bin: $(UNIT:%=$(B)/tests/unit-%) $(UNIT:%=$(B)/tests-asan/unit-%) \
	   $(GUEST:%=$(B)/tests/guest/%) $(HOSTILE:%=$(B)/tests/hostile/%)
fuzz-bin: $(FUZZ:%=$(B)/tests-fuzz/%)

# The public library is tested as users get it.
$(B)/tests/unit-libdune: tests/unit/libdune.c $(B)/libdune.a
	@echo "  TEST    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -o $@ $^ -lcmocka
$(B)/tests-asan/unit-libdune: tests/unit/libdune.c $(B)/libdune.so
	@echo "  TEST    $@"
	$(Q)mkdir -p $(@D)
	$(Q)ln -sf libdune.so $(B)/$(SONAME)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(SAN_asan) -o $@ $^ -lcmocka \
		-Wl,-rpath,'$$ORIGIN/..'
$(B)/tests/unit-self-%: tests/unit/self-%.c $(B)/libself.a
	@echo "  TEST    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -DDUNE_SELF $(ALL_CFLAGS) -o $@ $^ -lcmocka
$(B)/tests-asan/unit-self-%: tests/unit/self-%.c $(B)/libself-asan.a
	@echo "  TEST    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -DDUNE_SELF $(ALL_CFLAGS) $(SAN_asan) -o $@ $^ -lcmocka
$(B)/tests-fuzz/self-%: tests/fuzz/self-%.c $(B)/libself-fuzz.a
	@echo "  FUZZ    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS) -DDUNE_SELF $(ALL_CFLAGS) \
		-fsanitize=fuzzer,address,undefined -o $@ $^
$(B)/tests/unit-%: tests/unit/%.c $(B)/libkern.a
	@echo "  TEST    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -o $@ $^ -lcmocka $(LDLIBS)
$(B)/tests-asan/unit-%: tests/unit/%.c $(B)/libkern-asan.a
	@echo "  TEST    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(SAN_asan) -o $@ $^ -lcmocka \
		$(LDLIBS)
$(B)/tests-fuzz/%: tests/fuzz/%.c $(B)/libkern-fuzz.a
	@echo "  FUZZ    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS) $(ALL_CFLAGS) -fsanitize=fuzzer,address,undefined \
		-o $@ $^ $(LDLIBS)
$(B)/tests/guest/%: tests/kvm/guest/%.c tests/kvm/guest/guest.h
	@echo "  GUEST   $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -D_GNU_SOURCE -O1 -g -Wall -static -pthread -o $@ $(filter %.c %.a,$^) -lm
$(B)/tests/guest/batch: $(B)/libdune.a
$(B)/tests/hostile/%: tests/hostile/%.c tests/hostile/hostile.h \
		tests/kvm/guest/guest.h
	@echo "  GUEST   $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -D_GNU_SOURCE -O1 -g -Wall -static -pthread -o $@ $<

-include tests/tests.mk apps/apps.mk bench/bench.mk

clean:
	rm -rf $(B)/gen $(B)/obj $(B)/pic $(B)/asan $(B)/fuzz \
		$(B)/self-asan $(B)/self-fuzz $(B)/tests $(B)/tests-asan \
		$(B)/tests-fuzz $(B)/*.a $(B)/*.so* \
		$(B)/exports $(B)/sandbox $(B)/examples $(B)/wedge $(B)/bench \
		$(B)/dune-run $(B)/dune-check $(B)/dune-plughost \
		$(B)/dune-thumbs $(B)/dune-xml $(B)/dune-sql $(B)/plughost \
		$(B)/thumbs

help:
	@echo 'make            programs and library, into build/'
	@echo 'make run        the same, and shows it on real programs'
	@echo 'make apps       dune-thumbs and dune-xml as well'
	@echo "make check      all tests; CHECKFLAGS='--only unit,kvm' some"
	@echo "make rig        CMD='build/dune-check' in an emulated machine;"
	@echo '                CPU=intel in one with VT-x'
	@echo 'make bench      measures: bench/README.md'
	@echo 'make install    PREFIX=/usr/local DESTDIR=; make uninstall'
	@echo 'make clean      removes what was built'

D	:= '$(DESTDIR)$(PREFIX)'
COMPLETION := share/bash-completion/completions
MAN	= $(foreach n,1 3 5 7,$(wildcard man/*.$(n)))

# Every name of a page but its own: "name page".
man-aliases = for m in man/*.3; do sed -n '/^\.SH NAME/{n;s/ \\-.*//;s/,//g;p;}' $$m | \
	tr ' ' '\n' | sed "s,$$, $${m\#\#*/}," | \
	awk '$$1 ".3" != $$2'; done

install: all
	install -d $(D)/bin $(D)/lib/pkgconfig $(D)/include $(D)/share/man/man1 \
		$(D)/share/man/man3 $(D)/share/man/man5 \
		$(D)/share/man/man7 $(D)/$(COMPLETION)
	install -m 755 $(B)/dune-run $(B)/dune-check $(B)/dune-plughost \
		$(B)/dune-sql $(wildcard $(B)/dune-thumbs $(B)/dune-xml) \
		$(D)/bin
	cp -R libdune/include/. $(D)/include
	install -m 644 apps/plughost/plugin.h $(D)/include/dune/plughost.h
	install -m 644 $(B)/libdune.a $(D)/lib
	install -m 755 $(B)/libdune.so $(D)/lib/libdune.so.$(VERSION)
	ln -sf libdune.so.$(VERSION) $(D)/lib/$(SONAME)
	ln -sf $(SONAME) $(D)/lib/libdune.so
	install -m 755 $(B)/libdune-preload.so $(D)/lib
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' \
		libdune/dune.pc.in > $(D)/lib/pkgconfig/dune.pc
	install -m 644 apps/completion.bash $(D)/$(COMPLETION)/dune-run
	for n in check plughost sql thumbs xml; do \
		ln -sf dune-run $(D)/$(COMPLETION)/dune-$$n; done
	for m in $(MAN); do install -m 644 $$m $(D)/share/man/man$${m##*.}; done
	$(man-aliases) | while read -r name page; do \
		echo ".so man3/$$page" > $(D)/share/man/man3/$$name.3; done

uninstall:
	rm -rf $(D)/include/dune.h $(D)/include/dune $(D)/include/libdune
	rm -f $(foreach d,bin $(COMPLETION),$(addprefix $(D)/$d/dune-,\
		run check plughost sql thumbs xml)) \
		$(D)/lib/libdune.a $(D)/lib/libdune.so* \
		$(D)/lib/libdune-preload.so \
		$(D)/lib/pkgconfig/dune.pc
	for m in $(notdir $(MAN)); do rm -f $(D)/share/man/man$${m##*.}/$$m; done
	$(man-aliases) | while read -r name page; do \
		rm -f $(D)/share/man/man3/$$name.3; done

-include $(shell find $(B) -name '*.d' 2>/dev/null)
