# Included by apps.mk: SQL by a sandboxed sqlite. Nothing of sqlite is linked.

SQL_O := $(call obj,obj,apps/sql/main.c)

all: $(B)/dune-sql
$(B)/dune-sql: $(SQL_O) $(B)/libdune.a
	@echo "  LD      $@"
	$(Q)$(CC) $(ALL_CFLAGS) -pie $(LDFLAGS) -o $@ $^
