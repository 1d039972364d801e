# Included by the Makefile: host programs and plugins of tests/plugin.

PLUGIN_PROG := $(patsubst tests/plugin/prog/%.c,$(B)/tests/plugin/prog/%, \
		 $(wildcard tests/plugin/prog/*.c))
PLUGIN_LIB := $(patsubst tests/plugin/lib/%.c,$(B)/tests/plugin/lib/%.so, \
		$(wildcard tests/plugin/lib/*.c))

tests-bin: $(PLUGIN_PROG) $(PLUGIN_LIB)
# Static, so that they run in the emulated machines.
$(B)/tests/plugin/prog/%: tests/plugin/prog/%.c tests/plugin/plugin.h \
		libdune/include/dune/sandbox.h $(B)/libdune.a
	@echo "  TEST    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -std=gnu11 $(WARN) -O1 -g -static -pthread -o $@ \
		$< $(B)/libdune.a
$(B)/tests/plugin/lib/%.so: tests/plugin/lib/%.c
	@echo "  PLUGIN  $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -D_GNU_SOURCE -O1 -g -Wall -Wno-infinite-recursion -shared \
		-fPIC -pthread -fno-stack-protector -o $@ $< -lm
