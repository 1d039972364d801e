/* Names of system calls and of the rules that deny them. */
#include <stdio.h>

#include "kern/sys/internal.h"
#include "kern/sys/numbers.h"
#include "kern/sys/sys.h"

/* One string serves as a rule ("deny read") and as a name. */
#define RULE "deny "
#define ROW(name, ...) [__NR_##name] = RULE #name,

static const char *const rules[DUNE_NR_MAX] = {
#include "kern/sys/rows.inc"
};

const char *dune_sys_deny_rule(long nr)
{
	return rules[nr];
}

const char *dune_sys_name(long nr)
{
	static __thread char unknown[32];

	if (dune_sys_row(nr))
		return rules[nr] + sizeof(RULE) - 1;
	snprintf(unknown, sizeof(unknown), "syscall_%ld", nr);
	return unknown;
}
