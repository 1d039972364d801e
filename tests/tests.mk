# Included by the Makefile: everything that tests.

.PHONY: check rig

# CHECKFLAGS='--only unit,kvm' runs some layers, tests/run --list names them.
check:
	@scripts/setup --check
	@$(MAKE) --no-print-directory -j$$(nproc) all tests-bin fuzz-bin
	@tests/run $(CHECKFLAGS)

# make rig CMD='build/tests/kvm-foo' [CPU=intel]: in an emulated machine
# (make itself puts both into the environment).
rig: all
	@scripts/setup --check
	@tests/rig/rig

include tests/dune/dune.mk
include tests/dune/gc/gc.mk
include tests/plugin/plugin.mk
