/*
 * Which memory the kernel reads and writes when it serves a system call: from
 * the table that the sandbox checks pointers by, and a few that it emulates.
 */
#include "kern/self/outbuf.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "kern/mm/uaccess.h"
#include "kern/types.h"

#define ROW_HANDLER(h)	NULL
#include "kern/sys/words.h"

static const struct dune_sysrow rows[DUNE_NR_MAX] = {
#include "kern/sys/rows.inc"
};

/* A pointer to memory of which nothing more is known. */
#define SOME	DUNE_PAGE_SIZE

/* Calls whose pointers the rows describe as numbers, or not to the end. */
enum shape {
	BYTES = 1,		/* `size` bytes at arg[at] */
	ARRAY,			/* arg[n] elements of `size` bytes */
	MTEXT,			/* a long, and arg[n] bytes */
	VECTOR,			/* arg[n] struct iovec */
	MESSAGE,		/* struct msghdr */
	MESSAGES,		/* arg[n] struct mmsghdr */
	IOCTL,			/* the number says how much, or does not */
};

static const struct extra {
	short nr;
	uint8_t shape, at, n;
	uint16_t size;
	bool in;		/* the kernel reads */
} extras[] = {
	{ __NR_writev, VECTOR, 1, 2, 0, true },
	{ __NR_pwritev, VECTOR, 1, 2, 0, true },
	{ __NR_pwritev2, VECTOR, 1, 2, 0, true },
	{ __NR_process_vm_writev, VECTOR, 1, 2, 0, true },
	{ __NR_sendmsg, MESSAGE, 1, 0, 0, true },
	{ __NR_sendmmsg, MESSAGES, 1, 2, 0, true },
	{ __NR_readv, VECTOR, 1, 2, 0, false },
	{ __NR_preadv, VECTOR, 1, 2, 0, false },
	{ __NR_preadv2, VECTOR, 1, 2, 0, false },
	{ __NR_vmsplice, VECTOR, 1, 2, 0, false },
	{ __NR_process_vm_readv, VECTOR, 1, 2, 0, false },
	{ __NR_recvmsg, MESSAGE, 1, 0, 0, false },
	{ __NR_recvmmsg, MESSAGES, 1, 2, 0, false },
	{ __NR_ioctl, IOCTL, 2, 1, 0, false },
	{ __NR_msgrcv, MTEXT, 1, 2, 0, false },
	{ __NR_io_getevents, ARRAY, 3, 2, 32, false },
	{ __NR_io_pgetevents, ARRAY, 3, 2, 32, false },
	{ __NR_fcntl, BYTES, 2, 0, 64, false },
	{ __NR_prctl, BYTES, 1, 0, SOME, false },
	{ __NR_semctl, BYTES, 3, 0, SOME, false },
	{ __NR_sched_rr_get_interval, BYTES, 1, 0, 16, false },
	{ __NR_ptrace, BYTES, 3, 0, SOME, false },
	{ __NR_madvise, ARRAY, 0, 1, 1, false },	/* contents may go */
};

struct walk {
	dune_buffer_visit *visit;
	void *ctx;
	bool write;		/* what an extra's buffers are */
};

static void tell_as(const struct walk *w, uint64_t va, uint64_t len,
		    bool write)
{
	if (va && len)
		w->visit(w->ctx, va, len > -va ? -va : len, write);
}

static void tell(const struct walk *w, uint64_t va, uint64_t len)
{
	tell_as(w, va, len, w->write);
}

static void vector(const struct walk *w, uint64_t at, uint64_t n)
{
	struct iovec v[8];
	uint64_t i, some;

	for (; n && n <= UIO_MAXIOV; n -= some, at += some * sizeof(*v)) {
		some = n < DUNE_ARRAY_SIZE(v) ? n : DUNE_ARRAY_SIZE(v);
		if (dune_copy_in(v, at, some * sizeof(*v)))
			return;
		for (i = 0; i < some; i++)
			tell(w, (uintptr_t)v[i].iov_base, v[i].iov_len);
	}
}

/* The header itself: lengths and flags come back in it. */
static void message(const struct walk *w, uint64_t at)
{
	struct msghdr m;

	tell(w, at, sizeof(struct mmsghdr));
	if (dune_copy_in(&m, at, sizeof(m)))
		return;
	tell(w, (uintptr_t)m.msg_name, m.msg_namelen);
	tell(w, (uintptr_t)m.msg_control, m.msg_controllen);
	vector(w, (uintptr_t)m.msg_iov, m.msg_iovlen);
}

static void extra(const struct walk *w, const struct extra *x,
		  const uint64_t arg[6])
{
	uint64_t va = arg[x->at], n = arg[x->n], i;

	switch ((enum shape)x->shape) {
	case BYTES:
		tell(w, va, x->size);
		break;
	case ARRAY:
		if (!__builtin_mul_overflow(n, x->size, &n))
			tell(w, va, n);
		break;
	case MTEXT:
		if (!__builtin_add_overflow(n, sizeof(long), &n))
			tell(w, va, n);
		break;
	case VECTOR:
		vector(w, va, n);
		break;
	case MESSAGE:
		message(w, va);
		break;
	case MESSAGES:
		for (i = 0; i < n && i < UIO_MAXIOV; i++)
			message(w, va + i * sizeof(struct mmsghdr));
		break;
	case IOCTL:
		tell(w, va, _IOC_SIZE(n) > SOME ? _IOC_SIZE(n) : SOME);
		break;
	}
}

/* Calls that the table does not know or refuses: any argument may be one. */
static void unknown(const struct walk *w, const uint64_t arg[6])
{
	int i;

	for (i = 0; i < 6; i++)
		tell(w, arg[i], SOME);
}

/* By the table's row. */
static void described(const struct walk *w, const struct dune_sysrow *row,
		      const uint64_t arg[6])
{
	uint64_t len;
	int i;

	for (i = 0; i < 6; i++) {
		const struct dune_argspec *a = &row->arg[i];
		bool write = a->kind == DUNE_A_OUT || a->kind == DUNE_A_INOUT;

		if (write && a->rule == DUNE_L_NONE)
			tell_as(w, arg[i], SOME, true);
		else if ((write || a->kind == DUNE_A_IN ||
			  a->kind == DUNE_A_PATH || a->kind == DUNE_A_STR) &&
			 dune_sys_span(a, arg, &len))
			tell_as(w, arg[i], len, write);
	}
}

static bool is_known(const struct dune_sysrow *row)
{
	return row && row->action != DUNE_DO_UNKNOWN &&
	       row->action != DUNE_DO_REFUSE;
}

/* False: the call is in neither table. */
static bool each(struct walk *w, long nr, const uint64_t arg[6])
{
	const struct dune_sysrow *row = nr >= 0 && nr < DUNE_NR_MAX ?
					&rows[nr] : NULL;
	bool found = is_known(row);
	size_t i;

	if (found)
		described(w, row, arg);
	for (i = 0; i < DUNE_ARRAY_SIZE(extras); i++) {
		if (extras[i].nr != nr)
			continue;
		w->write = !extras[i].in;
		extra(w, &extras[i], arg);
		found = true;
	}
	return found;
}

void dune_buffers_each(long nr, const uint64_t arg[6],
		       dune_buffer_visit *visit, void *ctx)
{
	struct walk w = { .visit = visit, .ctx = ctx };

	each(&w, nr, arg);
}

struct out {
	dune_outbuf_visit *visit;
	void *ctx;
};

static void only_writes(void *ctx, uint64_t va, uint64_t len, bool write)
{
	const struct out *o = ctx;

	if (write)
		o->visit(o->ctx, va, len);
}

void dune_outbuf_each(long nr, const uint64_t arg[6],
		      dune_outbuf_visit *visit, void *ctx)
{
	struct out o = { visit, ctx };
	struct walk w = { .visit = only_writes, .ctx = &o };

	if (each(&w, nr, arg))
		return;
	w.write = true;
	unknown(&w, arg);
}
