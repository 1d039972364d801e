# Included by bench.mk: dune-decode, where the libraries are that it decodes with,
# with the kernel as wasm where the tools for that are.

comma := ,
WASM2C := $(wildcard /usr/share/wabt/wasm2c)
DECODE_B := $(B)/bench/plugin
DECODE_C := $(addprefix bench/plugin/,main.c images.c boxes.c processes.c \
	    bwrap.c kernel.c) $(addprefix apps/thumbs/,box.c box-gif.c \
	    box-png.c box-whole.c image.c native.c whole.c)
DECODE_H := $(wildcard bench/plugin/*.h bench/lib/*.h apps/thumbs/*.h)

ifneq ($(and $(WASM2C),$(shell command -v wasm-ld),$(shell command -v $(CLANG))),)
DECODE_WASM := $(DECODE_B)/wasm.o $(DECODE_B)/kernel.wasm.o \
	       $(DECODE_B)/wasm-rt-impl.o
else
DECODE_WASM := $(DECODE_B)/no-wasm.o
endif
ifneq ($(wildcard /usr/include/gif_lib.h),)
bench-bin: $(BENCHBIN)/dune-decode
endif

$(BENCHBIN)/dune-decode: $(DECODE_C) $(BENCH_LIB) $(DECODE_H) $(DECODE_WASM) \
		$(B)/libdune.a $(BENCHBIN)/kernel.so $(B)/obj/apps/thumbs/glue.o
	@echo "  BENCH   $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -pie -o $@ \
		$(filter %.c %.o %.a,$^) -lpng -ljpeg -lgif -lwebp -lseccomp -lm
$(BENCHBIN)/kernel.so: bench/plugin/kernel.c bench/plugin/kernel.h
	@echo "  PLUGIN  $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -O2 -shared -fPIC -o $@ $<

# The kernel to wasm, that to C, and that as other people's code is compiled.
$(DECODE_B)/kernel.wasm: bench/plugin/kernel.c bench/plugin/kernel.h
	@echo "  WASM    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) --target=wasm32 -O2 -mbulk-memory -nostdlib \
		-DKERNEL_ROOM='(8 << 20)' -Wl,--no-entry \
		$(addprefix -Wl$(comma)--export=kernel_,add decode where) \
		-o $@ $<
$(DECODE_B)/kernel.wasm.c: $(DECODE_B)/kernel.wasm
	@echo "  WASM2C  $@"
	$(Q)wasm2c -n kernel -o $@ $<
$(DECODE_B)/kernel.wasm.o $(DECODE_B)/wasm-rt-impl.o: $(DECODE_B)/%.o: \
		$(DECODE_B)/kernel.wasm.c
	@echo "  BENCH   $@"
	$(Q)$(CC) -O2 -fPIC -I$(WASM2C) -c -o $@ $(firstword \
		$(wildcard $(WASM2C)/$*.c) $<)
$(DECODE_B)/wasm.o: bench/plugin/wasm.c $(DECODE_B)/kernel.wasm.c $(DECODE_H)
	@echo "  BENCH   $@"
	$(Q)$(CC) $(CPPFLAGS) -std=gnu11 $(WARN) -O2 -fPIC -I$(DECODE_B) \
		-I$(WASM2C) -c -o $@ $<
$(DECODE_B)/no-wasm.o: bench/plugin/no-wasm.c $(DECODE_H)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<
