# Included by the Makefile: everything that measures.
#
#   make bench [ONLY=startup,syscall] [QUICK=1] [RIG=no]
#
# bench/README.md says what it prints. Programs go to $(B)/bench/bin.

.PHONY: bench bench-bin
BENCHBIN := $(B)/bench/bin
# Programs of libdune's Dune mode that print results of their own join by being
# there.
BENCH_DUNE := $(patsubst bench/%.c,$(BENCHBIN)/%,$(wildcard bench/dune-*.c))
BENCH_LIB := bench/lib/harness.c bench/lib/stats.c bench/lib/json.c

bench:
	@scripts/setup --bench || echo "bench: goes on with what is there" >&2
	@$(MAKE) --no-print-directory -j$$(nproc) all bench-bin
	@bench/run --build $(B) $(if $(ONLY),--only $(ONLY)) \
		$(if $(QUICK),--quick) $(if $(filter no,$(RIG)),--no-rig)

bench-bin: $(BENCHBIN)/micro $(BENCHBIN)/dune-micro $(BENCHBIN)/alternate \
	   $(BENCHBIN)/hello $(BENCH_DUNE)

# Static: they start without a dynamic linker, and in the emulated machine.
BENCH_CC = mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(ALL_CFLAGS) -fno-pie
$(BENCHBIN)/micro: $(wildcard bench/micro/*.c) $(BENCH_LIB) \
		$(B)/libdune.a $(wildcard bench/micro/*.h bench/lib/*.h)
	@echo "  BENCH   $@"
	$(Q)$(BENCH_CC) -static -o $@ $(filter %.c %.a,$^)
$(BENCHBIN)/dune-micro: $(wildcard bench/mode/*.c) $(BENCH_LIB) \
		$(addprefix bench/micro/,util.c sys.c mem.c proc.c chase.c) \
		$(B)/libwedge.a $(B)/libdune.a $(wildcard bench/*/*.h)
	@echo "  BENCH   $@"
	$(Q)$(BENCH_CC) -static -Wl,-z,relro,-z,now -o $@ \
		$(filter %.c %.a,$^)
$(BENCHBIN)/alternate: bench/alternate.c bench/lib/harness.c \
		bench/lib/stats.c bench/lib/json.c $(wildcard bench/lib/*.h)
	@echo "  BENCH   $@"
	$(Q)$(BENCH_CC) -static -o $@ $(filter %.c,$^)
$(BENCHBIN)/hello: bench/hello.c
	@echo "  BENCH   $@"
	$(Q)$(BENCH_CC) -static -o $@ $<
$(BENCH_DUNE): $(BENCHBIN)/%: bench/%.c $(BENCH_LIB) $(B)/libdune.a \
		$(wildcard bench/lib/*.h)
	@echo "  BENCH   $@"
	$(Q)$(BENCH_CC) -static -o $@ $(filter %.c %.a,$^) -lseccomp

$(BENCHBIN)/dune-plugin: bench/plugin/bwrap.c bench/plugin/bwrap.h

$(B)/tests/unit-bench-stats $(B)/tests-asan/unit-bench-stats: \
		bench/lib/stats.c bench/lib/json.c

include bench/plugin/plugin.mk
