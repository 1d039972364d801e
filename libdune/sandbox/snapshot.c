/*
 * Snapshots: a frozen box, the template, of which boxes are forked, one ahead
 * as a spare. Reset takes the spare.
 *
 * Shares: what was shared before the snapshot stays shared with each fork. The
 * sandbox's own list of shares is not cut back; what came later has only
 * lost its mapping.
 */
#include "libdune/sandbox/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "kern/err.h"

#define TRIES		2000
/* The call that follows a reset goes first, also where CPUs are few. */
#define LATER		1000000
static const struct timespec pause_between = { .tv_nsec = 1000000 };

/* ---- forking, on the keeper's thread ---- */

struct fork_job {
	struct dune_snapshot *from;
	struct dune_sandbox_options o;
	struct dune_box *used;		/* a fork that is no longer needed */
	struct dune_box *box;		/* out */
};

static int copy_heap(struct dune_box *b, struct dune_box *from)
{
	int r = dune_heap_copy(&b->heap, &from->heap);

	if (!r)
		memcpy((char *)b->ch + DUNE_CH_HEAP,
		       (char *)from->ch + DUNE_CH_HEAP, from->heap.high);
	return r;
}

/* Asks the template for a child. -EBUSY: another one is under way. */
static int ask_template(struct dune_box *t, struct dune_box *b)
{
	int sock[2], fd[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock))
		return dune_err(-errno, "socketpair: %s; raise ulimit -n if "
				"it is low", strerror(errno));
	b->sock = sock[0];
	/* one way only: what the guest writes would fill it up */
	shutdown(b->sock, SHUT_RD);
	fd[0] = b->ch_fd;
	fd[1] = sock[1];
	dune_family_expect(t->family, t, b);
	r = dune_box_send(t, fd, 2);
	close(sock[1]);
	return r;
}

static int fork_box(struct dune_engine *e, void *arg)
{
	struct fork_job *j = arg;
	struct dune_box *t = j->from->template;
	int r;

	(void)e;
	/* a spare that was refused: found by who wants it */
	if (t->family->pending && dune_box_refused(t->family->pending))
		dune_family_expect(t->family, NULL, NULL);
	if (t->family->pending)
		return -EBUSY;
	if (dune_box_dead(t))
		return dune_err(-ESTALE, "snapshot: its process is dead");
	r = dune_box_create(t->family, t->ch_size - DUNE_CH_HEAP, &j->box);
	if (r)
		return r;
	dune_box_head(j->box, j->o.callers, j->o.stack);
	j->box->ch->head.warm = j->from->warm;
	r = copy_heap(j->box, t);
	if (!r)
		r = ask_template(t, j->box);
	if (r)
		dune_box_free(j->box);
	return r;
}

/* A fork of the snapshot, ready. */
static int fork_ready(struct dune_sandbox *s, struct dune_snapshot *n,
		      struct dune_box **out)
{
	struct fork_job j = { .from = n, .o = s->o };
	int r, i;

	for (i = 0; i < TRIES; i++) {
		r = dune_engine_do(s->engine, fork_box, &j);
		if (r != -EBUSY)
			break;
		nanosleep(&pause_between, NULL);
	}
	if (r)
		return r;
	r = dune_box_ready(j.box);
	if (r)
		dune_engine_post(s->engine, dune_box_free_job, j.box, 0);
	*out = j.box;
	return r;
}

/* ---- the spare ---- */

static int make_spare(struct dune_engine *e, void *arg)
{
	struct fork_job *j = arg;

	if (j->used) {
		if (!dune_box_dead(j->used))
			dune_warm_collect(&j->from->warm, j->from->template,
					  j->used);
		dune_box_free(j->used);
	}
	/* when one is under way for somebody else, there is just none */
	if (!j->from->spare && fork_box(e, j) == 0)
		__atomic_store_n(&j->from->spare, j->box, __ATOMIC_RELEASE);
	dune_snapshot_put(e, j->from);
	free(j);
	return 0;
}

/* used, which may be NULL, is freed after it was looked at. */
static void want_spare(struct dune_sandbox *s, struct dune_snapshot *n,
		       struct dune_box *used)
{
	struct fork_job *j = calloc(1, sizeof(*j));

	if (!j) {
		if (used)
			dune_engine_post(s->engine, dune_box_free_job, used, 0);
		return;
	}
	j->used = used;
	j->from = n;
	j->o = s->o;
	__atomic_add_fetch(&n->refs, 1, __ATOMIC_RELAXED);
	dune_engine_post(s->engine, make_spare, j, LATER);
}

static int take_box(struct dune_sandbox *s, struct dune_snapshot *n,
		    struct dune_box **out)
{
	struct dune_box *b = __atomic_exchange_n(&n->spare, NULL,
						 __ATOMIC_ACQ_REL);

	if (b) {
		if (dune_box_ready(b) == 0) {
			*out = b;
			return 0;
		}
		dune_engine_post(s->engine, dune_box_free_job, b, 0);
	}
	return fork_ready(s, n, out);
}

int dune_snapshot_take(struct dune_sandbox *s, struct dune_box **out)
{
	int r = take_box(s, s->snapshot, out);

	if (!r)
		want_spare(s, s->snapshot, NULL);
	return r;
}

/* ---- snapshots ---- */

static int free_snapshot(struct dune_engine *e, void *arg)
{
	struct dune_snapshot *n = arg;

	(void)e;
	if (n->spare)
		dune_box_free(n->spare);
	dune_box_free(n->template);
	free(n->handle);
	free(n);
	return 0;
}

void dune_snapshot_put(struct dune_engine *e, struct dune_snapshot *n)
{
	if (__atomic_sub_fetch(&n->refs, 1, __ATOMIC_ACQ_REL) == 0)
		dune_engine_do(e, free_snapshot, n);
}

static int remember(struct dune_sandbox *s, struct dune_snapshot *n)
{
	struct dune_object *o;
	unsigned int i = 0;

	n->refs = 1;
	n->share_next = s->share_next;
	n->stubs = s->stubs;
	n->loads = s->loads;
	for (o = s->objects; o; o = o->next)
		n->objects++;
	n->handle = calloc(n->objects + 1, sizeof(*n->handle));
	if (!n->handle)
		return dune_err(-ENOMEM, "snapshot: out of memory");
	for (o = s->objects; o; o = o->next)
		n->handle[i++] = o->handle;
	for (i = 0; i < s->stubs; i++)
		n->stub_handle[i] = s->callback[i].handle;
	return 0;
}

static int wait_threads(struct dune_box *b, int n, int tries)
{
	int now = 0, i;

	for (i = 0; i < tries; i++) {
		now = dune_box_threads(b);
		if (now < 0 || now == n)
			break;
		nanosleep(&pause_between, NULL);
	}
	return now < 0 ? now : now == n ? 0 : -EBUSY;
}

/* Ends the threads of all slots but the first's, which becomes a template. */
static int freeze(struct dune_sandbox *s)
{
	const uint64_t in[3] = { 0 };
	uint64_t out[2];
	unsigned int i;
	int r = wait_threads(s->box, s->o.callers, 100);

	if (r == -EBUSY)
		dune_err(r, "snapshot: the plugin has threads of its own");
	for (i = s->o.callers - 1; !r && i > 0; i--)
		r = dune_lane_op(s, i, DUNE_OP_STOP, in, out);
	if (r)
		return r;
	r = wait_threads(s->box, 1, TRIES);
	if (!r)
		r = dune_lane_op(s, 0, DUNE_OP_FREEZE, in, out);
	/* with some of its threads gone it is of no use */
	if (r == -EBUSY)
		r = dune_box_kill(s->box, DUNE_CAUSE_PROTOCOL);
	return r;
}

/* The box in use becomes the template, its first fork takes its place. */
static int replace(struct dune_sandbox *s, struct dune_snapshot *n)
{
	struct dune_box *b;
	int r;

	n->template = s->box;
	r = fork_ready(s, n, &b);
	if (r) {
		dune_box_kill(s->box, DUNE_CAUSE_MONITOR);
		return r;
	}
	dune_sandbox_use(s, b);
	return 0;
}

int dune_sandbox_snapshot(struct dune_sandbox *s)
{
	struct dune_snapshot *n = calloc(1, sizeof(*n)), *old = NULL;
	int r;

	if (!n)
		return dune_err(-ENOMEM, "snapshot: out of memory");
	r = dune_sandbox_stop(s);
	if (r) {
		free(n);
		return r;
	}
	r = dune_box_dead(s->box) ?
		dune_err(-ESTALE, "sandbox: dead; dune_sandbox_reset() brings "
			 "it back") : remember(s, n);
	if (!r)
		r = freeze(s);
	if (!r)
		r = replace(s, n);
	if (r) {
		free(n->handle);
		free(n);
	} else {
		old = s->snapshot;
		s->snapshot = n;
		want_spare(s, n, NULL);
	}
	dune_sandbox_go(s);
	if (old)
		dune_snapshot_put(s->engine, old);
	return r;
}

int dune_snapshot_adopt(struct dune_sandbox *s, struct dune_snapshot *n)
{
	struct dune_box *b;
	int r = fork_ready(s, n, &b);

	if (r)
		return r;
	s->snapshot = n;
	dune_sandbox_use(s, b);
	want_spare(s, n, NULL);
	return 0;
}

/* ---- reset and clone ---- */

/* The host's side as it was at the snapshot (NULL: at the start). */
static void rewind_to(struct dune_sandbox *s, const struct dune_snapshot *n)
{
	unsigned int i;

	pthread_mutex_lock(&s->lock);
	dune_objects_cut(s, n ? n->objects : 0);
	if (!n)
		dune_shares_drop(s);
	s->share_next = n ? n->share_next : DUNE_CH_SHARES;
	s->stubs = n ? n->stubs : 0;
	s->loads = n ? n->loads : 0;
	for (i = 0; i < s->callbacks; i++)
		s->callback[i].handle = i < s->stubs ? n->stub_handle[i] : 0;
	pthread_mutex_unlock(&s->lock);
}

int dune_sandbox_reset(struct dune_sandbox *s)
{
	struct dune_box *b, *old;
	int r = dune_sandbox_stop(s);

	if (r)
		return r;
	r = s->snapshot ? take_box(s, s->snapshot, &b) :
	    dune_sandbox_start(s, &b);
	if (!r) {
		rewind_to(s, s->snapshot);
		old = dune_sandbox_use(s, b);
		s->resets++;
		if (s->snapshot)
			want_spare(s, s->snapshot, old);
		else if (old)
			dune_engine_post(s->engine, dune_box_free_job, old, 0);
	}
	dune_sandbox_go(s);
	return r;
}

static int copy_callbacks(struct dune_sandbox *to, struct dune_sandbox *from,
			  const struct dune_snapshot *n)
{
	unsigned int i;

	for (i = 0; i < from->callbacks; i++) {
		to->callback[i] = from->callback[i];
		to->callback[i].handle = i < n->stubs ? n->stub_handle[i] : 0;
		to->callback[i].name = strdup(from->callback[i].name);
		if (!to->callback[i].name)
			return dune_err(-ENOMEM, "clone: out of memory");
		to->callbacks++;
	}
	to->stubs = n->stubs;
	to->loads = n->loads;
	to->share_next = n->share_next;
	return 0;
}

/* Under all lanes of s. */
static int clone_of(struct dune_sandbox *s, struct dune_sandbox **out)
{
	struct dune_snapshot *n = s->snapshot;
	struct dune_sandbox *c;
	struct dune_box *b;
	unsigned int i;
	int r;

	if (!n)
		return dune_err(-EINVAL, "clone: no snapshot yet");
	r = dune_sandbox_new(s->engine, &s->o, s->rules, &c);
	if (r)
		return r;
	r = copy_callbacks(c, s, n);
	for (i = 0; !r && i < n->objects; i++)
		r = dune_object_add(c, n->handle[i], NULL);
	if (!r)
		r = fork_ready(s, n, &b);
	if (r) {
		dune_sandbox_destroy(c);
		return r;
	}
	__atomic_add_fetch(&n->refs, 1, __ATOMIC_RELAXED);
	c->snapshot = n;
	dune_sandbox_use(c, b);
	*out = c;
	return 0;
}

int dune_sandbox_clone(struct dune_sandbox *s, struct dune_sandbox **clone)
{
	int r;

	*clone = NULL;
	r = dune_sandbox_stop(s);
	if (r)
		return r;
	r = clone_of(s, clone);
	dune_sandbox_go(s);
	return r;
}
