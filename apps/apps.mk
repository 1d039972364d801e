# Included by the Makefile: what shows the programs at work.

# On this machine's KVM, or in an emulated machine where it has none.
run:
	@scripts/setup --run
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@apps/dune-run/demo
