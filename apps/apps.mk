# Included by the Makefile: what shows the programs at work.

# On this machine's KVM, or in an emulated machine where it has none.
run:
	@scripts/setup --run
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@apps/dune-run/demo

# What `dune-run --dune` preloads. It finds libdune beside itself, so that a
# program that links libdune as well has one of it.
all: $(B)/libdune-preload.so
$(B)/libdune-preload.so: apps/preload/preload.c $(B)/libdune.so
	@echo "  LD      $@"
	$(Q)ln -sf libdune.so $(B)/$(SONAME)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -fPIC -shared -Wl,-z,defs \
		-Wl,-rpath,'$$ORIGIN' $(LDFLAGS) -o $@ $^

# What hosts plugins of the system's. Not of `all`, which needs none of their
# libraries.
.PHONY: apps
apps:
	@scripts/setup --apps
	@$(MAKE) --no-print-directory $(B)/dune-thumbs $(B)/dune-xml

$(addprefix $(B)/dune-,plughost sql thumbs xml): $(call obj,obj,apps/options.c)

include apps/examples/examples.mk
include apps/wedge/wedge.mk
include apps/gc/gc.mk
include apps/plughost/plughost.mk
include apps/thumbs/thumbs.mk
include apps/xml/xml.mk
include apps/sql/sql.mk
