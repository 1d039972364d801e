# Included by apps.mk: compartments for a program that links them (wedge.h), and
# a program that does.

WEDGE_C := $(filter-out %/demo.c %/test.c,$(wildcard apps/wedge/*.c))
WEDGE_O := $(WEDGE_C:%.c=$(B)/wedge/%.o)

.PHONY: wedge
tests-bin: wedge
wedge: $(B)/libwedge.a $(B)/examples/wedge-demo $(B)/examples/wedge-test

$(B)/wedge/%.o: %.c
	@echo "  CC      $<"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -Ilibdune/include -D_GNU_SOURCE $(ALL_CFLAGS) -MMD -MP -c \
		-o $@ $<
$(B)/libwedge.a: $(WEDGE_O)
	@echo "  AR      $@"
	$(Q)rm -f $@ && ar rcs $@ $^
$(B)/examples/wedge-%: apps/wedge/%.c $(B)/libwedge.a $(B)/libdune.a
	@echo "  LD      $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(EXAMPLE_CC) -Wl,-z,relro,-z,now -o $@ $^
