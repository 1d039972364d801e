# Included by the Makefile: host programs and plugins of tests/plugin.

# The object with constructors, once for each thing that they do.
CTORS	:= CRASH SPIN EXIT EXEC LOOK REOPEN
lower	= $(shell echo $(1) | tr A-Z a-z)
PLUGIN_PROG := $(patsubst tests/plugin/prog/%.c,$(B)/tests/plugin/prog/%, \
		 $(wildcard tests/plugin/prog/*.c))
PLUGIN_LIB := $(patsubst tests/plugin/lib/%.c,$(B)/tests/plugin/lib/%.so, \
		$(wildcard tests/plugin/lib/*.c)) \
	      $(foreach c,$(CTORS),$(B)/tests/plugin/lib/ctor-$(call lower,$(c)).so)
PLUGIN_CC = $(CC) -D_GNU_SOURCE -O1 -g -Wall -Wno-infinite-recursion \
	    -Wno-free-nonheap-object -shared \
	    -fPIC -pthread -fno-stack-protector

tests-bin: $(PLUGIN_PROG) $(PLUGIN_LIB)
# Static, so that they run in the emulated machines, and small, for loading
# takes its time there.
$(B)/tests/plugin/prog/%: tests/plugin/prog/%.c tests/plugin/plugin.h \
		$(wildcard libdune/include/dune/*.h) $(B)/libdune.a
	@echo "  TEST    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -std=gnu11 $(WARN) -O1 -static -s -pthread -o $@ \
		$< $(B)/libdune.a
$(B)/tests/plugin/lib/ctor-%.so: tests/plugin/lib/ctor.c
	@echo "  PLUGIN  $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(PLUGIN_CC) -DWHICH=$(shell echo $* | tr a-z A-Z) -o $@ $<
$(B)/tests/plugin/lib/%.so: tests/plugin/lib/%.c
	@echo "  PLUGIN  $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(PLUGIN_CC) -o $@ $< -lm
