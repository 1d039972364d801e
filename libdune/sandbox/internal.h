/* What the files of libdune/sandbox share among themselves. README.md first. */
#ifndef DUNE_SANDBOX_INTERNAL_H
#define DUNE_SANDBOX_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "dune/sandbox.h"
#include "kern/broker/broker.h"
#include "kern/sys/strict.h"
#include "libdune/sandbox/channel.h"
#include "libdune/sandbox/heap.h"
#include "libdune/sandbox/image.h"
#include "libdune/sandbox/pace.h"

struct dune_engine;
struct dune_box;

/* A page of 4 KiB, whatever kern's headers call it. */
#define PAGE_UP(x) (((x) + 4095ul) & ~4095ul)

/* ---- engine.c: the keeper thread ---- */

/* What the keeper does when a descriptor is readable. */
struct dune_watch {
	void (*ready)(struct dune_engine *e, struct dune_watch *w);
	int fd;
};

/* Work for the keeper; done on its thread between events. */
struct dune_job {
	int (*run)(struct dune_engine *e, void *arg);
	void *arg;
	struct dune_job *next;
	uint64_t not_before;		/* CLOCK_MONOTONIC, ns; 0: at once */
	bool forgotten;			/* nobody waits: to be freed */
	bool done;
	int err;
	char why[256];
};

struct dune_nanny;

struct dune_engine {
	pthread_mutex_t lock;		/* jobs, sandboxes, buffers */
	pthread_cond_t done;
	pthread_t keeper;
	int epoll;
	struct dune_watch wake;		/* an eventfd: there are jobs */
	struct dune_job *jobs;
	bool stop;
	unsigned int boxes;		/* the keeper ends after the last */
	struct dune_nanny *nanny;
	int monitor, runner;		/* sealed memfds */
	bool one_cpu;
	struct dune_sandbox *sandboxes;
	struct dune_shell *shells;
	struct dune_buffer *buffers;
};

/* Runs fn on the keeper's thread; its result, and its message. */
int dune_engine_do(struct dune_engine *e,
		   int (*fn)(struct dune_engine *e, void *arg), void *arg);
/*
 * The same, after the caller has gone on, and after `wait` nanoseconds unless
 * the engine ends before; what it comes to is lost.
 */
void dune_engine_post(struct dune_engine *e,
		      int (*fn)(struct dune_engine *e, void *arg), void *arg,
		      uint64_t wait);
int dune_engine_watch(struct dune_engine *e, struct dune_watch *w);
void dune_engine_unwatch(struct dune_engine *e, struct dune_watch *w);

/* blobs.S: the programs in memory */
extern const char dune_monitor_start[], dune_monitor_end[];
extern const char dune_runner_start[], dune_runner_end[];

/* A memfd that can no longer change its size; with `seals` on top. -errno. */
int dune_memfd(const char *name, size_t size, unsigned int seals);

/* ---- nanny.c: the parent of sandboxes; keeper's thread only ---- */

int dune_nanny_create(struct dune_nanny **n);
void dune_nanny_destroy(struct dune_nanny *n);
pid_t dune_nanny_pid(const struct dune_nanny *n);
/*
 * Executes the program behind `exe` with these descriptors as 0, 1, 2 ... and
 * no others. Its pid; *pidfd is for us.
 */
pid_t dune_nanny_spawn(struct dune_nanny *n, int exe, const int *fd,
		       unsigned int fds, int *pidfd);
/*
 * The wait status (siginfo's code and status) of one that has ended; reaps it
 * unless its pid is to be kept.
 */
int dune_nanny_wait(struct dune_nanny *n, pid_t pid, bool keep, int *code,
		    int *status);

/* ---- family.c: what processes forked from each other share ---- */

struct dune_family {
	struct dune_engine *engine;
	unsigned int count;		/* its boxes */
	struct dune_policy *policy;	/* the broker's */
	struct dune_broker *broker;
	struct dune_watch serve, report;
	struct dune_phase *phase;
	struct dune_box *boxes;		/* keeper's thread only */
	struct dune_box *stillborn;	/* gets reports of unknown pids */
	struct dune_box *pending;	/* whose the next process will be */
	struct dune_box *parent;	/* and will be this one's child */
};

/* Where a saved process is: image.h. */
struct dune_saved_at {
	int fd;
	uint64_t at;
};

/*
 * All on the keeper's thread. saved: NULL, or what its first process will be.
 */
int dune_family_create(struct dune_engine *e,
		       const struct dune_sandbox_options *o,
		       const char *rules, const struct dune_saved_at *saved,
		       struct dune_box **first);
void dune_family_drop(struct dune_family *f);
/* Reads what there is of reports. */
void dune_family_listen(struct dune_family *f);
/* Lets one process be forked by parent, which becomes b's; NULL: none. */
void dune_family_expect(struct dune_family *f, struct dune_box *parent,
			struct dune_box *b);

/* Opens and closes the phase in which a process may read libraries. */
void dune_phase_enter(struct dune_family *f, uint32_t pid);
void dune_phase_leave(struct dune_family *f, uint32_t pid);

/* ---- box.c: one process ---- */

#define DUNE_BOX_TEXT (24 * 1024)

struct dune_box {
	struct dune_family *family;
	struct dune_box *next;		/* of the family */
	pid_t pid;
	struct dune_watch end;		/* its pidfd */
	int sock;
	int ch_fd;
	struct dune_ch *ch;
	size_t ch_size;
	uint32_t seq[DUNE_CH_SLOTS];	/* turns so far */
	uint64_t callback;		/* the runner's entry */
	struct dune_heap heap;
	/* how it ended; `dead` is set last */
	uint32_t dead;
	bool doomed;			/* is freed at its end */
	uint32_t killer;		/* enum dune_cause, of the first */
	uint32_t cause;
	int error, signal, status;
	uint64_t address, pc;
	char *text;			/* the report so far */
	size_t text_len;
};

/* A box without a process yet; heap bytes as asked. */
int dune_box_create(struct dune_family *f, size_t heap, struct dune_box **out);
/* Its process, from now on watched. Keeper's thread. */
int dune_box_watch(struct dune_box *b, pid_t pid, int pidfd);
/* Did its template say that it could not be forked? The guest's word. */
bool dune_box_refused(const struct dune_box *b);
/*
 * Kills, and frees once it has ended. Keeper's thread; the family's last box
 * takes it along.
 */
void dune_box_free(struct dune_box *b);
/* Fills the head for its runner. */
void dune_box_head(struct dune_box *b, uint32_t slots, uint64_t stack);
/* Waits until its runner is ready. 0 or how it ended. */
int dune_box_ready(struct dune_box *b);
/* Kills it for this reason and waits for the end; its error. */
int dune_box_kill(struct dune_box *b, enum dune_cause why);
/* One line of its report. Keeper's thread. */
void dune_box_line(struct dune_box *b, const char *line, size_t len);
/* A byte and descriptors to its runner. */
int dune_box_send(struct dune_box *b, const int *fd, unsigned int n);
/* How many threads its process has; -errno. */
int dune_box_threads(const struct dune_box *b);

static inline bool dune_box_dead(const struct dune_box *b)
{
	return __atomic_load_n(&b->dead, __ATOMIC_ACQUIRE);
}

/* ---- sandbox.c ---- */

#define DUNE_CALLBACKS_MAX DUNE_IMAGE_CALLBACKS

/* A slot as its callers see it. */
struct dune_lane {
	const void *owner;		/* a thread's mark; NULL: free */
	unsigned int depth;		/* of calls on it */
	struct dune_pace pace;
	bool timed;			/* the next two are set */
	uint64_t deadline;		/* CLOCK_MONOTONIC ns; 0: none */
	uint64_t cpu_limit;		/* of its CPU clock; 0: none */
	/* counted by the owner */
	uint64_t calls, callbacks, sleeps, wakes;
};

struct dune_object {
	struct dune_sandbox *box;
	struct dune_object *next;
	uint64_t handle;		/* the dynamic linker's */
};

struct dune_sharing {			/* a buffer in a sandbox */
	struct dune_buffer *buf;
	struct dune_sharing *next;
	uint64_t at;
	size_t size;
};

struct dune_host_callback {
	struct dune_callback c;
	char *name;
	void *ctx;
	uint64_t handle;		/* of its stub's object */
};

struct dune_sandbox {
	struct dune_engine *engine;
	struct dune_sandbox *next;
	struct dune_sandbox_options o;	/* no zeroes left */
	char *rules;			/* the policy's text */
	pthread_rwlock_t box_lock;	/* for who uses it without a lane */
	struct dune_box *box;
	struct dune_lane lane[DUNE_CH_SLOTS];
	pthread_mutex_t lock;		/* for who waits for a lane */
	pthread_cond_t freed;
	uint32_t waiters;
	int kill_fd;			/* the box's pidfd, one number */
	/* under lock */
	struct dune_object *objects;	/* in the order of loading */
	struct dune_sharing *shares;
	uint64_t share_next;		/* where the next goes */
	struct dune_snapshot *snapshot;
	/* grows only; under all lanes */
	struct dune_host_callback callback[DUNE_CALLBACKS_MAX];
	unsigned int callbacks, stubs;	/* stubs: of so many there are */
	unsigned int loads;		/* from memory: their names differ */
	uint64_t resets;
};

/* Takes all lanes; -EBUSY from within a callback. */
int dune_sandbox_stop(struct dune_sandbox *s);
void dune_sandbox_go(struct dune_sandbox *s);
/* Puts a box in use; the one before it, or NULL. Under all lanes. */
struct dune_box *dune_sandbox_use(struct dune_sandbox *s, struct dune_box *b);
/* An empty box, ready: a warm one, or from the beginning. */
int dune_sandbox_start(struct dune_sandbox *s, struct dune_box **out);
/* From the beginning, or as the template that was saved. */
int dune_box_start(struct dune_sandbox *s, const struct dune_saved_at *saved,
		   struct dune_box **out);
/* The object with its options, and no box. */
int dune_sandbox_new(struct dune_engine *e,
		     const struct dune_sandbox_options *o,
		     const char *rules, struct dune_sandbox **out);
/* The same of what dune_sandbox_create() is given. */
int dune_sandbox_prepare(struct dune_engine *e,
			 const struct dune_sandbox_options *options,
			 struct dune_sandbox **out);
/* Keeper's thread: dune_box_free(). */
int dune_box_free_job(struct dune_engine *e, void *box);

/* ---- snapshot.c ---- */

struct dune_snapshot {
	unsigned int refs;		/* sandboxes; atomic */
	struct dune_box *template;
	struct dune_box *spare;		/* atomic; NULL: none */
	/* what the sandbox had */
	unsigned int objects;
	uint64_t *handle;
	uint64_t share_next;
	struct dune_warm warm;		/* keeper's thread only */
	unsigned int stubs, loads;
	uint64_t stub_handle[DUNE_CALLBACKS_MAX];
};

/* warm.c: which pages `used`, a fork of template, has used. */
void dune_warm_collect(struct dune_warm *w, const struct dune_box *template,
		       const struct dune_box *used);

void dune_snapshot_put(struct dune_engine *e, struct dune_snapshot *n);
/*
 * Gives n to the sandbox, which has neither a snapshot nor a box, and its first
 * fork as the box in use. On an error n stays the caller's.
 */
int dune_snapshot_adopt(struct dune_sandbox *s, struct dune_snapshot *n);
/* A fork of the sandbox's snapshot, ready; the next one is made ahead. */
int dune_snapshot_take(struct dune_sandbox *s, struct dune_box **out);

/* ---- saved.c, restored.c ---- */

/* Code and data of libraries in a file, which no limit counts. */
#define DUNE_SAVED_UNCOUNTED (1ul << 30)

/* Which programs wrote a process, and must go on with it. */
uint64_t dune_saved_build(void);
/* Is it a regular file? -EINVAL. */
int dune_saved_check(int fd);

/* shell.c: an empty box for s; -ENOENT or another error: there is none. */
int dune_shell_take(struct dune_sandbox *s, struct dune_box **out);
void dune_shells_free(struct dune_engine *e);

/* load.c: objects and shares as lists. */
int dune_object_add(struct dune_sandbox *s, uint64_t handle,
		    struct dune_object **out);
void dune_objects_cut(struct dune_sandbox *s, unsigned int keep);
void dune_shares_drop(struct dune_sandbox *s);

/* What callbacks of a restored sandbox are until the host gives them. */
dune_callback_fn dune_callback_missing;

/* ---- call.c ---- */

/* Takes a lane for the calling thread; its index. */
int dune_lane_take(struct dune_sandbox *s);
void dune_lane_give(struct dune_sandbox *s, int lane);
/*
 * One operation of the runner's on a lane that is taken: gp[0..2] in, gp[0..1]
 * of the answer out. 0, or how the box ended, or a callback's error.
 */
int dune_lane_op(struct dune_sandbox *s, int lane, enum dune_ch_op op,
		 const uint64_t *in, uint64_t *out);

/* ---- marshal.c: pure ---- */

/* Arguments into a message. -EINVAL with a message. */
int dune_marshal_call(struct dune_ch_msg *m, const struct dune_value *arg,
		      unsigned int args);
/*
 * Arguments of a callback out of a (copied) message: n values of these types.
 */
void dune_marshal_callback(const struct dune_ch_msg *m, const uint8_t *type,
			   unsigned int n, uint64_t *value);

/* ---- stubs.c: pure ---- */

#define DUNE_STUB_SIZE 32

/*
 * A shared object whose n symbols jump to `entry` with their number, from
 * `first` on, in r11. malloc'd; its size, or -ENOMEM.
 */
long dune_stubs_make(const char *const *name, unsigned int n,
		     unsigned int first, uint64_t entry, void **out);

#endif
