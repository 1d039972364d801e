/*
 * dune-check: a table of checks, each a function that fills one result.
 */
#ifndef DUNE_CHECK_H
#define DUNE_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include "kern/vm/vm.h"

enum status {
	SKIPPED,	/* something before it is missing: not shown */
	OK,
	MISSING,
	/* features: worked by the hardware, by software, or not used */
	NATIVE,
	EMULATED,
	OFF,
};

struct result {
	enum status status;
	char detail[192];	/* what was found */
	char mend[256];		/* what to do about it, "" if nothing */
};

/* What checks find out for those after them. */
struct facts {
	int kvm_fd;			/* -1: not open */
	bool probed;			/* kind is filled */
	struct dune_kvm_kind kind;
};

struct check {
	const char *name;
	void (*run)(const struct check *check, struct facts *facts,
		    struct result *result);
	bool needed;		/* dune-run does not work without it */
	long arg;		/* for run, where several checks share it */
	const char *what;
};

struct group {
	const char *title;
	const struct check *check;	/* ended by a NULL name */
};

extern const struct check machine_checks[], kvm_checks[], feature_checks[],
			  wall_checks[];

/* For run functions: fill the result. */
void found(struct result *r, enum status status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void mend(struct result *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
