/*
 * Reports for a person: what the guest did, where in its code, by which calls
 * it got there. A few lines, each "dune-run: ...", each one write, to the
 * policy's report_fd (stderr when -1: the one place where kern/ prints).
 *
 * Called on the task's own thread, without locks held. Reads guest memory and
 * files as the program could; changes nothing, and leaves dune_errmsg()
 * as it was.
 */
#ifndef DUNE_KERN_REPORT_H
#define DUNE_KERN_REPORT_H

struct dune_call;
struct dune_task;

/* The policy refused a call; rule names what it broke. */
void dune_report_violation(struct dune_task *task,
			   const struct dune_call *call, const char *rule);

/* The guest is about to be ended; what says why. */
void dune_report_fault(struct dune_task *task, const char *what);

#endif
