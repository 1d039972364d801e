/* Sandboxes: options, their making and end, reports. */
#include "libdune/sandbox/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "kern/err.h"

#define MIB (1ul << 20)
#define RULES_MAX (1 << 20)

/* ---- options ---- */

static int check_options(const struct dune_sandbox_options *o)
{
	if (o->callers > DUNE_CH_SLOTS)
		return dune_err(-EINVAL, "callers: %u; at most %d", o->callers,
				DUNE_CH_SLOTS);
	if (o->flags & ~(DUNE_SANDBOX_FILES | DUNE_SANDBOX_LENIENT))
		return dune_err(-EINVAL, "flags: %#x has unknown bits",
				o->flags);
	if (o->heap > DUNE_CH_SHARES - DUNE_CH_BASE - MIB)
		return dune_err(-EINVAL, "heap: %lu bytes are too many",
				(unsigned long)o->heap);
	if (o->reserved)
		return dune_err(-EINVAL, "reserved: must be 0");
	if (o->output < 0 || (o->output && fcntl(o->output, F_GETFD) < 0))
		return dune_err(-EINVAL, "output: %d is no open descriptor",
				o->output);
	return 0;
}

static void set_default(uint64_t *v, uint64_t value, uint64_t least)
{
	if (!*v)
		*v = value;
	if (*v < least)
		*v = least;
}

static int get_options(const struct dune_sandbox_options *in,
		       struct dune_sandbox_options *o)
{
	int r;

	memset(o, 0, sizeof(*o));
	if (in) {
		if (in->size < sizeof(in->size) || in->size > 4096)
			return dune_err(-EINVAL, "options: set the size field "
					"to sizeof(struct "
					"dune_sandbox_options) first");
		memcpy(o, in, in->size < sizeof(*o) ? in->size : sizeof(*o));
	}
	r = check_options(o);
	if (!o->callers)
		o->callers = 1;
	if (!o->threads)
		o->threads = 32;
	set_default(&o->memory, 1024 * MIB, 16 * MIB);
	set_default(&o->stack, MIB, MIB / 4);
	set_default(&o->heap, 64 * MIB, 4096);
	o->stack = PAGE_UP(o->stack);
	return r;
}

/* The text of both kinds of rules, malloc'd; NULL with a message. */
static char *get_rules(const struct dune_sandbox_options *o)
{
	const char *text = o->policy ? o->policy : "";
	size_t len = strlen(text), n = 0;
	struct stat st = { .st_size = 0 };
	char *rules;
	int fd = -1;

	if (o->policy_file) {
		fd = open(o->policy_file, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &st) || st.st_size > RULES_MAX ||
		    !S_ISREG(st.st_mode)) {
			dune_err(-EINVAL, "%s: %s", o->policy_file, fd < 0 ?
				 strerror(errno) : "no policy file");
			if (fd >= 0)
				close(fd);
			return NULL;
		}
	}
	rules = malloc(len + st.st_size + 2);
	if (rules) {
		memcpy(rules, text, len);
		rules[len++] = '\n';
		while (fd >= 0 && n < (size_t)st.st_size) {
			ssize_t got = read(fd, rules + len + n,
					   st.st_size - n);

			if (got <= 0)
				break;
			n += got;
		}
		rules[len + n] = '\0';
	} else {
		dune_err(-ENOMEM, "sandbox: out of memory");
	}
	if (fd >= 0)
		close(fd);
	return rules;
}

/* ---- making ---- */

int dune_sandbox_new(struct dune_engine *e,
		     const struct dune_sandbox_options *o, const char *rules,
		     struct dune_sandbox **out)
{
	struct dune_sandbox *s = calloc(1, sizeof(*s));

	if (s)
		s->rules = strdup(rules);
	if (!s || !s->rules) {
		free(s);
		return dune_err(-ENOMEM, "sandbox: out of memory");
	}
	s->engine = e;
	s->o = *o;
	s->kill_fd = -1;
	s->share_next = DUNE_CH_SHARES;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->freed, NULL);
	pthread_rwlock_init(&s->box_lock, NULL);
	pthread_mutex_lock(&e->lock);
	s->next = e->sandboxes;
	e->sandboxes = s;
	pthread_mutex_unlock(&e->lock);
	*out = s;
	return 0;
}

struct start {
	struct dune_sandbox *s;
	const struct dune_saved_at *saved;
	struct dune_box *box;
};

static int start_job(struct dune_engine *e, void *arg)
{
	struct start *st = arg;

	return dune_family_create(e, &st->s->o, st->s->rules, st->saved,
				  &st->box);
}

int dune_sandbox_start(struct dune_sandbox *s, struct dune_box **out)
{
	return dune_shell_take(s, out) ? dune_box_start(s, NULL, out) : 0;
}

int dune_box_start(struct dune_sandbox *s, const struct dune_saved_at *saved,
		   struct dune_box **out)
{
	struct start st = { .s = s, .saved = saved };
	int r = dune_engine_do(s->engine, start_job, &st);

	if (r)
		return r;
	r = dune_box_ready(st.box);
	if (r) {
		dune_engine_post(s->engine, dune_box_free_job, st.box, 0);
		return r;
	}
	dune_phase_leave(st.box->family, ~0u);
	*out = st.box;
	return 0;
}

struct dune_box *dune_sandbox_use(struct dune_sandbox *s, struct dune_box *b)
{
	struct dune_box *old;

	pthread_rwlock_wrlock(&s->box_lock);
	old = s->box;
	s->box = b;
	/* always the same number: dune_sandbox_kill() may be using it */
	if (s->kill_fd < 0)
		s->kill_fd = fcntl(b->end.fd, F_DUPFD_CLOEXEC, 3);
	else
		dup3(b->end.fd, s->kill_fd, O_CLOEXEC);
	pthread_rwlock_unlock(&s->box_lock);
	return old;
}

int dune_sandbox_prepare(struct dune_engine *e,
			 const struct dune_sandbox_options *options,
			 struct dune_sandbox **out)
{
	struct dune_sandbox_options o;
	char *rules;
	int r;

	r = get_options(options, &o);
	if (r)
		return r;
	rules = get_rules(&o);
	if (!rules)
		return -EINVAL;
	/* the caller's; what they said is in the rules */
	o.policy = o.policy_file = NULL;
	o.size = sizeof(o);
	r = dune_sandbox_new(e, &o, rules, out);
	free(rules);
	return r;
}

int dune_sandbox_create(struct dune_engine *e,
			const struct dune_sandbox_options *options,
			struct dune_sandbox **out)
{
	struct dune_sandbox *s;
	struct dune_box *box;
	int r;

	*out = NULL;
	r = dune_sandbox_prepare(e, options, &s);
	if (r)
		return r;
	r = dune_sandbox_start(s, &box);
	if (r) {
		dune_sandbox_destroy(s);
		return r;
	}
	dune_sandbox_use(s, box);
	*out = s;
	return 0;
}

void dune_sandbox_destroy(struct dune_sandbox *s)
{
	struct dune_sandbox **p;
	unsigned int i;

	if (!s)
		return;
	pthread_mutex_lock(&s->engine->lock);
	for (p = &s->engine->sandboxes; *p && *p != s; p = &(*p)->next)
		;
	if (*p)
		*p = s->next;
	pthread_mutex_unlock(&s->engine->lock);
	if (s->snapshot)
		dune_snapshot_put(s->engine, s->snapshot);
	if (s->box)
		dune_engine_do(s->engine, dune_box_free_job, s->box);
	dune_objects_cut(s, 0);
	dune_shares_drop(s);
	for (i = 0; i < s->callbacks; i++)
		free(s->callback[i].name);
	if (s->kill_fd >= 0)
		close(s->kill_fd);
	pthread_rwlock_destroy(&s->box_lock);
	pthread_cond_destroy(&s->freed);
	pthread_mutex_destroy(&s->lock);
	free(s->rules);
	free(s);
}

void dune_sandbox_kill(struct dune_sandbox *s)
{
	syscall(SYS_pidfd_send_signal, s->kill_fd, SIGKILL, NULL, 0);
}

/* ---- what there is to say ---- */

const char *dune_cause_name(enum dune_cause cause)
{
	static const char *const names[] = {
		[DUNE_CAUSE_NONE] = "nothing", [DUNE_CAUSE_FAULT] = "a fault",
		[DUNE_CAUSE_VIOLATION] = "a system call that is not allowed",
		[DUNE_CAUSE_WALL_TIME] = "its limit of time",
		[DUNE_CAUSE_CPU_TIME] = "its limit of CPU time",
		[DUNE_CAUSE_EXIT] = "its own exit",
		[DUNE_CAUSE_KILLED] = "a kill",
		[DUNE_CAUSE_PROTOCOL] = "a breach of the protocol",
		[DUNE_CAUSE_MONITOR] = "a failure of its monitor",
	};

	return (unsigned int)cause < sizeof(names) / sizeof(names[0]) ?
		names[cause] : "?";
}

int dune_sandbox_report(struct dune_sandbox *s, struct dune_report *report)
{
	struct dune_report r = { .text = "" };
	const struct dune_box *b;

	if (report->size < sizeof(report->size) || report->size > 4096)
		return dune_err(-EINVAL, "report: set the size field to "
				"sizeof(struct dune_report) first");
	r.size = report->size;
	pthread_rwlock_rdlock(&s->box_lock);
	b = s->box;
	if (dune_box_dead(b)) {
		r.cause = b->cause;
		r.error = b->error;
		r.signal = b->cause == DUNE_CAUSE_FAULT ? b->signal : 0;
		r.status = b->status;
		r.address.v = b->address;
		r.pc.v = b->pc;
		r.text = b->text;
	}
	pthread_rwlock_unlock(&s->box_lock);
	memcpy(report, &r, r.size < sizeof(r) ? r.size : sizeof(r));
	return 0;
}

int dune_sandbox_stats(struct dune_sandbox *s,
		       struct dune_sandbox_stats *stats)
{
	struct dune_sandbox_stats v = { .size = stats->size };
	unsigned int i;

	if (v.size < sizeof(v.size) || v.size > 4096)
		return dune_err(-EINVAL, "stats: set the size field to "
				"sizeof(struct dune_sandbox_stats) first");
	for (i = 0; i < s->o.callers; i++) {
		v.calls += s->lane[i].calls;
		v.callbacks += s->lane[i].callbacks;
		v.sleeps += s->lane[i].sleeps;
		v.wakes += s->lane[i].wakes;
	}
	v.resets = s->resets;
	pthread_rwlock_rdlock(&s->box_lock);
	v.pid = dune_box_dead(s->box) ? 0 : s->box->pid;
	pthread_rwlock_unlock(&s->box_lock);
	memcpy(stats, &v, v.size < sizeof(v) ? v.size : sizeof(v));
	return 0;
}
