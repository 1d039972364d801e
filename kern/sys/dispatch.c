/* The gate: one call from the guest's registers to its result. */
#include <signal.h>
#include <time.h>

#include "kern/report/recent.h"
#include "kern/report/report.h"
#include "kern/sys/batch.h"
#include "kern/sys/fdtype.h"
#include "kern/sys/internal.h"
#include "kern/sys/stats.h"
#include "kern/task/hostcall.h"
#include "kern/task/task.h"

static dune_sys_handler *own;

void dune_sys_own(dune_sys_handler *handler)
{
	own = handler;
}

static void count(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ul + ts.tv_nsec;
}

static bool names_path(const struct dune_sysrow *row)
{
	for (size_t i = 0; i < DUNE_ARRAY_SIZE(row->arg); i++)
		if (row->arg[i].kind == DUNE_A_PATH)
			return true;
	return false;
}

/* Handlers get a copy, the original is for --trace. */
static long emulate(struct dune_task *task, struct dune_call *call)
{
	struct dune_call copy = *call;
	long ret = call->row->handler(task, &copy);

	call->violation = copy.violation;
	return ret;
}

long dune_sys_serve(struct dune_task *task, struct dune_call *call)
{
	long ret;

	if (call->row->action == DUNE_DO_FORWARD)
		ret = dune_forward_call(call);
	else
		ret = emulate(task, call);
	if (call->row->flags & DUNE_F_CLOSES)
		dune_fdtype_closed(call);
	/* Landlock's answer and a file mode's are the same number. */
	if (ret == -EACCES && !call->violation && names_path(call->row))
		call->violation = "no --ro or --rw rule, or the file's mode";
	if (call->row->flags & DUNE_F_RETFD)
		ret = dune_fd_result(task->proc, ret);
	return ret;
}

static void account(struct dune_stats *stats, const struct dune_call *call,
		    long ret, uint64_t ns)
{
	struct dune_sysstat *s = &stats->sys[call->nr];

	if (ret < 0 && ret >= -4095 && ret != -DUNE_ERESTART)
		count(&s->errors, 1);
	if (call->violation)
		count(&s->denied, 1);
	if (ns)
		count(&s->ns, ns);
}

/*
 * One of a batch, on the thread that made it: so it may wait, and a signal
 * finds it there. Not what changes registers or the thread: calls that are
 * emulated, but for those that even the proxy may serve.
 */
static bool one_of_batch(struct dune_task *task, struct dune_call *call,
			 const void *ctx, long *ret)
{
	const struct dune_sysrow *row = dune_sys_row(call->nr);

	(void)ctx;
	if (!row || row->flags & (DUNE_F_NORETURN | DUNE_F_CREDS) ||
	    (row->action == DUNE_DO_EMULATE && !row->proxy))
		return false;
	*ret = task->slot_full ? -DUNE_ERESTART :
				 dune_sys_dispatch(task, call);
	return true;
}

long dune_sys_dispatch(struct dune_task *task, struct dune_call *call)
{
	const struct dune_policy *policy = task->proc->policy;
	struct dune_stats *stats = task->proc->stats;
	uint64_t start = 0, ns = 0;
	bool offence;
	long ret;

	if (call->nr >= DUNE_NR_OWN && own)
		return own(task, call);
	if (call->nr == DUNE_NR_BATCH)
		return dune_batch_serve(task, call, one_of_batch, NULL);
	call->row = dune_sys_row(call->nr);
	/* Counted first: not every call returns. */
	if (call->row)
		count(&stats->sys[call->nr].calls, 1);
	else
		count(&stats->unknown, 1);

	ret = dune_sys_decide(policy, task->proc->fd_base, call,
			      &call->violation);
	/* a number the table does not know may be one of a newer C library */
	offence = policy->strict && !policy->lenient && call->violation &&
		  ret != -ENOSYS;
	if (!ret) {
		if (policy->trace && (call->row->flags & DUNE_F_NORETURN))
			dune_sys_trace(policy, call, 0, false);
		if (policy->stat)
			start = now_ns();
		ret = dune_sys_serve(task, call);
		if (policy->stat)
			ns = now_ns() - start;
	}

	if (call->row)
		account(stats, call, ret, ns);
	if (policy->trace)
		dune_sys_trace(policy, call, ret, true);
	if (call->violation && policy->report)
		dune_report_violation(task, call, call->violation);
	if (policy->report)
		dune_recent_note(call, ret);
	if (offence)
		dune_task_die(SIGSYS);
	return ret;
}

bool dune_sys_dispatch_by(struct dune_task *task, struct dune_call *call,
			  dune_sys_way *way, long *ret)
{
	const struct dune_policy *policy = task->proc->policy;
	struct dune_stats *stats = task->proc->stats;
	uint64_t start = policy->stat ? now_ns() : 0;

	call->row = dune_sys_row(call->nr);
	*ret = dune_sys_decide(policy, task->proc->fd_base, call,
			       &call->violation);
	if (!*ret && !way(task, call, ret))
		return false;
	count(&stats->sys[call->nr].calls, 1);
	count(&stats->by_proxy, 1);
	account(stats, call, *ret, policy->stat ? now_ns() - start : 0);
	return true;
}
