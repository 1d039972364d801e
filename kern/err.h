/*
 * The one error-message call.
 *
 * Functions return 0 or a negative errno; where a line for a person helps,
 * they leave one here first: object, cause, way out. Thread-local, async-
 * signal-unsafe, at most DUNE_ERR_MAX bytes, cut when longer.
 */
#ifndef DUNE_KERN_ERR_H
#define DUNE_KERN_ERR_H

#define DUNE_ERR_MAX 512

/* Leaves a message and returns err (a negative errno) for `return`. */
int dune_err(int err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* No message: what is there later was left later. */
void dune_err_clear(void);

/* The last message of this thread, "" when there is none. Never NULL. */
const char *dune_errmsg(void);

#endif
