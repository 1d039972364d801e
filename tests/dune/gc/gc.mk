# What tests/dune/gc/run needs: programs that use Debian's libgc, its own tests,
# and a library whose dirty bits get lost.

GC_TESTS := efault maps graph
LOSSY	:= $(B)/tests/gc/lossy

.PHONY: gc-tests
tests-bin: gc-tests
gc-tests: $(GC_TESTS:%=$(B)/tests/gc/%) $(LOSSY)/libdune-preload.so

$(B)/tests/gc/%: tests/dune/gc/%.c
	@echo "  TEST    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -O1 -g -Wall -o $@ $< -lgc

LOSSY_O	:= $(patsubst $(B)/pic/kern/self/softdirty.o,$(LOSSY)/softdirty.o,$(LIB_O))
$(LOSSY)/softdirty.o: kern/self/softdirty.c
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -DDUNE_SELF -DDUNE_TEST_LOSSY $(ALL_CFLAGS) -fPIC \
		-MMD -MP -c -o $@ $<
$(LOSSY)/libdune.so: $(LOSSY_O) libdune/dune.map
	@echo "  LD      $@"
	$(Q)$(LD_SO) $(LOSSY_O)
	$(Q)ln -sf libdune.so $(LOSSY)/$(SONAME)
$(LOSSY)/libdune-preload.so: apps/preload/preload.c $(LOSSY)/libdune.so
	@echo "  LD      $@"
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -fPIC -shared -Wl,-z,defs \
		-Wl,-rpath,'$$ORIGIN' $(LDFLAGS) -o $@ $^
