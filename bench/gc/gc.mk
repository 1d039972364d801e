# Included by bench.mk: collectors compared.
#
#   make bench-gc [GC_ONLY=trees,list] [QUICK=1] [RIG=no]
#
# Results in build/bench: gc.json, and gc.html with histograms of pauses.

GC_BIN	:= $(B)/bench/gc
GC_WORK	:= bench/gc/main.c bench/gc/work.c
GC_OURS	:= $(wildcard apps/gc/*.c)

.PHONY: bench-gc bench-gc-bin
bench-gc:
	@scripts/setup --bench || echo "bench: goes on with what is there" >&2
	@$(MAKE) --no-print-directory -j$$(nproc) all bench-gc-bin
	@bench/gc/run --build $(B) $(if $(GC_ONLY),--only $(GC_ONLY)) \
		$(if $(QUICK),--quick) $(if $(filter no,$(RIG)),--no-rig)
bench-gc-bin: $(GC_BIN)/malloc $(GC_BIN)/boehm $(GC_BIN)/ours

# Static, so that they run in the emulated machine.
GC_BENCH_CC = mkdir -p $(@D) && $(CC) $(CPPFLAGS) -DWITH_DUNE $(ALL_CFLAGS) \
	      -static -fno-pie
$(GC_BIN)/malloc: bench/gc/malloc.c $(GC_WORK) $(B)/libdune.a
$(GC_BIN)/boehm: bench/gc/boehm.c $(GC_WORK) $(B)/libdune.a
$(GC_BIN)/boehm: GC_BENCH_LIBS := -lgc
$(GC_BIN)/ours: bench/gc/ours.c $(GC_WORK) $(GC_OURS) $(B)/libdune.a
$(GC_BIN)/malloc $(GC_BIN)/boehm $(GC_BIN)/ours: $(wildcard bench/gc/*.h)
	@echo "  BENCH   $@"
	$(Q)$(GC_BENCH_CC) -o $@ $(filter %.c %.a,$^) $(GC_BENCH_LIBS) -lexpat
