# Included by apps.mk: what a program can do in Dune mode, a page each. Static, so
# that the emulated machines can run them as well. `make examples` builds them,
# tests/dune/run runs them.

EXAMPLES := $(patsubst apps/examples/%.c,%,$(wildcard apps/examples/*.c))
# As a user would compile them, but small: they go into emulated machines.
EXAMPLE_CC = $(CC) -Ilibdune/include -D_GNU_SOURCE -std=gnu11 $(WARN) -O2 -g \
	     -pthread -static -Wl,--strip-debug

.PHONY: examples
tests-bin: examples
examples: $(EXAMPLES:%=$(B)/examples/%) $(B)/examples/linking-native

# Code for ring 3 has no way to a stack protector's canary.
$(B)/examples/compartment: WARN += -fno-stack-protector
$(B)/examples/linking: WARN += -DWITH_DUNE
$(B)/examples/linking-native: apps/examples/linking.c
	@echo "  LD      $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(EXAMPLE_CC) -o $@ $<
$(B)/examples/%: apps/examples/%.c $(B)/libdune.a
	@echo "  LD      $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(EXAMPLE_CC) -o $@ $^
