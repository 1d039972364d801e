/*
 * Sandboxed plugins: an untrusted shared object is loaded into a virtual
 * machine of its own, and its functions are called like functions. Whatever it
 * does, the host goes on. Tutorial: dune-plugins(7).
 *
 *	struct dune_engine *engine;
 *	struct dune_sandbox *box;
 *	struct dune_object *object;
 *	struct dune_function f;
 *	int sum;
 *
 *	DUNE_PLUGIN_CALL(call_add, int, int, int)   // int add(int, int)
 *
 *	dune_engine_create(&engine);
 *	dune_sandbox_create(engine, NULL, &box);
 *	dune_sandbox_load(box, "/usr/lib/libplugin.so", 0, &object);
 *	dune_object_function(object, "add", &f);
 *	err = call_add(&f, &sum, 1, 2);
 *
 * Nouns and owners: an engine owns its sandboxes' processes; a sandbox owns its
 * objects, its memory and its callbacks; a function and a guest address are
 * values, good as long as their sandbox. None of it is of use in a child of
 * fork(2).
 *
 * All functions return 0 or a negative errno and then leave a line for a
 * person in dune_errmsg(). They are thread-safe but for create and destroy of
 * one and the same thing, and may not be called from signal handlers, except
 * dune_sandbox_kill(). None prints, exits or leaves a child that wait(-1) sees.
 *
 * How a call ends that does not return (dune_call(), load, reset ...):
 *
 *   -EFAULT     the plugin faulted (SIGSEGV, SIGBUS, SIGFPE, abort() ...)
 *   -EPERM      it made a system call that its policy does not allow
 *   -ETIMEDOUT  it used up its wall or CPU time
 *   -ECHILD     it ended its process: exit()
 *   -ECANCELED  dune_sandbox_kill(), or somebody else's SIGKILL
 *   -EPROTO     it broke the protocol between host and sandbox
 *   -EIO        the sandbox's monitor failed
 *
 * From then on the sandbox is dead: dune_sandbox_report() tells why, every call
 * gives -ESTALE, and dune_sandbox_reset() brings it back. Other errors leave
 * it alive. A callback that fails ends the call with the callback's own error
 * and leaves the sandbox alive as well.
 *
 * dune_sandbox_callbacks(), _context(), _snapshot(), _reset(), _clone() and
 * _save() wait for calls under way in other threads: -EBUSY from a callback.
 *
 * C11; C++ may use all but the macros of dune/sandbox-macros.h.
 */
#ifndef DUNE_SANDBOX_H
#define DUNE_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "dune.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An address in a sandbox: cannot be dereferenced by accident. */
typedef struct {
	uint64_t v;
} dune_addr;

struct dune_engine;
struct dune_sandbox;
struct dune_object;
struct dune_buffer;

/* ---- engine ---- */

/*
 * Starts the thread that watches sandboxes (all signals blocked; SIGCHLD of
 * the program is not touched). -ENOENT, -EACCES, -ENOTSUP: /dev/kvm, see
 * dune.h; -ENOMEM, -EMFILE, -ENOSYS (Linux before 5.4).
 */
DUNE_API int dune_engine_create(struct dune_engine **engine);
/* Ends and frees all of its sandboxes and buffers. NULL is fine. */
DUNE_API void dune_engine_destroy(struct dune_engine *engine);

/* ---- sandboxes ---- */

enum {
	/*
	 * The plugin may open and use files: those that `policy` gives it with
	 * ro and rw. Without this it opens nothing, but its libraries while
	 * they are loaded.
	 */
	DUNE_SANDBOX_FILES	= 1 << 0,
	/*
	 * A system call that is not allowed gets EPERM, and is noted for the
	 * report, instead of ending the call.
	 */
	DUNE_SANDBOX_LENIENT	= 1 << 1,
};

/* Zero in any field but size means the default. */
struct dune_sandbox_options {
	uint32_t size;		/* sizeof(struct dune_sandbox_options) */
	uint32_t flags;		/* DUNE_SANDBOX_* */
	uint32_t callers;	/* threads that may be in calls at once: 1;
				 * at most 16. Others wait for their turn. */
	uint32_t threads;	/* threads of the plugin's own at once: 32 */
	uint64_t memory;	/* bytes that it may map: 1 GiB; less than
				 * 16 MiB counts as that */
	uint64_t stack;		/* bytes of stack of a call: 1 MiB; at least
				 * 256 KiB, likewise */
	uint64_t heap;		/* bytes of the transfer heap: 64 MiB */
	uint64_t wall_ns;	/* time a call may take: no limit */
	uint64_t cpu_ns;	/* CPU time of the sandbox in it: no limit */
	/*
	 * More rules, as in a file of dune-policy(5): "ro /usr/share/x\n" ...
	 * The default directories of libraries may be read while loading;
	 * other directories with plugins need an ro line.
	 */
	const char *policy;
	const char *policy_file;	/* the same from a file */
	int output;		/* descriptor that gets what the plugin prints
				 * to its descriptors 1 and 2; 0: thrown away */
	uint32_t reserved;	/* 0 */
};

/*
 * Starts a sandbox: a process with a virtual machine, and nothing of a plugin
 * in it. options NULL: all defaults. -EINVAL (an option, a rule of the policy),
 * -ENOENT, -EACCES, -ENOTSUP (/dev/kvm, or a kernel without Landlock), -ENOMEM,
 * -EMFILE, -EAGAIN, -EIO.
 */
DUNE_API int dune_sandbox_create(struct dune_engine *engine,
				 const struct dune_sandbox_options *options,
				 struct dune_sandbox **box);
/*
 * Kills what runs and frees everything. No call may be under way in other
 * threads, and none from a callback. NULL is fine.
 */
DUNE_API void dune_sandbox_destroy(struct dune_sandbox *box);

/*
 * Ends the sandbox at once: calls under way return -ECANCELED. From any thread
 * and from signal handlers; the sandbox must not be destroyed meanwhile.
 */
DUNE_API void dune_sandbox_kill(struct dune_sandbox *box);

/* ---- objects and functions ---- */

enum {
	DUNE_LOAD_GLOBAL	= 1 << 0,	/* RTLD_GLOBAL */
};

/*
 * Loads a shared object and what it needs by the system's dynamic linker, in
 * the sandbox; runs its constructors under the limits of a call. path: as for
 * dlopen(3), but not empty. *object is the sandbox's. -ENOENT: no such path.
 * -ENOEXEC: the dynamic linker's reason is in dune_errmsg(); that the policy
 * does not let it read the file is one. -EINVAL: unknown flags. -ESTALE and
 * what ends a call, above.
 */
DUNE_API int dune_sandbox_load(struct dune_sandbox *box, const char *path,
			       unsigned int flags, struct dune_object **object);

/*
 * The same of a shared object whose file is in memory: one that a program
 * brings along, as glue between a library and itself. At most 64, loads after
 * new callbacks included: -ENOSPC. -ENOMEM.
 */
DUNE_API int dune_sandbox_load_memory(struct dune_sandbox *box,
				      const void *elf, size_t size,
				      unsigned int flags,
				      struct dune_object **object);

/* A function of a sandbox: a value, to be copied at will. */
struct dune_function {
	struct dune_sandbox *box;
	dune_addr addr;
};

/* -ENOENT: no such symbol; -ENAMETOOLONG: more than 1023 bytes. */
DUNE_API int dune_object_symbol(struct dune_object *object, const char *name,
				dune_addr *addr);
DUNE_API int dune_object_function(struct dune_object *object,
				  const char *name, struct dune_function *f);

/* ---- calls ---- */

/* What an argument or a result is, by where the ABI puts it. */
enum dune_type {
	DUNE_VOID = 0,
	DUNE_INT,		/* integers of up to 64 bits, bool, addresses */
	DUNE_DOUBLE,
	DUNE_FLOAT,
};

/* At most this many arguments. */
#define DUNE_ARGS_MAX 16

/* An argument. Signed integers are extended to 64 bits. */
struct dune_value {
	uint64_t bits;
	uint32_t type;		/* enum dune_type */
	uint32_t reserved;
};

static inline struct dune_value dune_int(uint64_t v)
{
	struct dune_value r = { v, DUNE_INT, 0 };

	return r;
}

static inline struct dune_value dune_address(dune_addr v)
{
	return dune_int(v.v);
}

static inline struct dune_value dune_double(double v)
{
	struct dune_value r = { 0, DUNE_DOUBLE, 0 };

	memcpy(&r.bits, &v, sizeof(v));
	return r;
}

static inline struct dune_value dune_float(float v)
{
	struct dune_value r = { 0, DUNE_FLOAT, 0 };

	memcpy(&r.bits, &v, sizeof(v));
	return r;
}

/*
 * Calls a function. *result (may be NULL) gets rax or, for DUNE_DOUBLE and
 * DUNE_FLOAT, xmm0: copy as many bytes of it as the result's type has. Beyond
 * six integers and eight of the others arguments go over the stack. -EINVAL:
 * too many, an unknown type (of the result, too), not an address.
 */
DUNE_API int dune_call(const struct dune_function *f, enum dune_type type,
		       uint64_t *result, const struct dune_value *arg,
		       unsigned int args);

/* ---- many calls at once ---- */

#define DUNE_BATCH_ARGS 6

/* One of them: integers and addresses only, as dune_int() has them. */
struct dune_batch_call {
	dune_addr fn;
	uint64_t arg[DUNE_BATCH_ARGS];	/* signed ones are extended */
	uint64_t result;		/* out: rax, as from dune_call() */
};

/* When a batch ends before its last call: by what a call returned. */
enum dune_until {
	DUNE_UNTIL_END = 0,		/* it does not */
	DUNE_UNTIL_SAME,		/* as `value` */
	DUNE_UNTIL_OTHER,		/* than `value` */
};

struct dune_batch_end {
	uint32_t until;			/* enum dune_until */
	uint32_t bits;			/* of the functions' result type: as
					 * many are compared; 0: 64 */
	uint64_t value;
};

/*
 * Calls functions of the plugin one after the other, with one turn to the
 * plugin and back for all of them: rows of an image, small items of a list. end
 * NULL: all of them. *done is how many have returned, the one that ended the
 * batch included; these have results. Callbacks work as in other calls. All
 * of it counts as one call where time is limited. It lies in the transfer heap
 * meanwhile, 64 bytes a call and 32: -ENOMEM. -EINVAL: not an address, bits,
 * until. Other errors are those of call number *done, which did not return.
 * The plugin can have changed *done, but not to be more than `calls`, or with
 * an error `calls`.
 */
DUNE_API int dune_call_batch(struct dune_sandbox *box,
			     struct dune_batch_call *call, uint32_t calls,
			     const struct dune_batch_end *end, uint32_t *done);

/* ---- callbacks ---- */

/*
 * A function of the host that plugins import. value[] are the arguments, of
 * the types it was declared with; addresses and lengths in them are the
 * plugin's word: check them. *result is 0 before. Runs on the thread that is in
 * dune_call(), and may call into the sandbox again; then the plugin may call
 * back, whatever the function is meant to do, up to DUNE_DEPTH_MAX deep: one
 * more is its end (-EPROTO). Returns 0, or a negative
 * errno, which ends the call into the plugin that called it, like longjmp(3);
 * dune_errmsg() then names the callback, or says what a call of this library's
 * in it said.
 */
typedef int dune_callback_fn(struct dune_sandbox *box, void *ctx,
			     const uint64_t *value, uint64_t *result);

#define DUNE_DEPTH_MAX	64

struct dune_callback {
	const char *name;	/* the symbol */
	dune_callback_fn *fn;
	uint32_t type;		/* of the result, enum dune_type */
	uint32_t args;
	uint8_t arg[DUNE_ARGS_MAX];	/* enum dune_type each */
};

/*
 * Objects that are loaded from now on see these symbols. Names are copied; ctx
 * is passed to each of them. -EINVAL, -EEXIST (a name is there already),
 * -ENOSPC (more than 256 in all).
 */
DUNE_API int dune_sandbox_callbacks(struct dune_sandbox *box,
				    const struct dune_callback *v, size_t n,
				    void *ctx);

/*
 * What one callback, or with name NULL each of them, gets as its ctx from now
 * on, in this sandbox: a clone begins with the context of its original.
 * -ENOENT.
 */
DUNE_API int dune_sandbox_context(struct dune_sandbox *box, const char *name,
				  void *ctx);

/*
 * A callback as a function pointer for the plugin, to be passed as an argument.
 * After the first load. -ENOENT.
 */
DUNE_API int dune_sandbox_callback_addr(struct dune_sandbox *box,
					const char *name, dune_addr *addr);

/* ---- memory ---- */

/*
 * The transfer heap: memory that host and plugin see both, managed by the
 * host. alloc: 16-byte aligned, not cleared; -ENOMEM. free: -EINVAL when addr
 * was not allocated.
 */
DUNE_API int dune_sandbox_alloc(struct dune_sandbox *box, size_t size,
				dune_addr *addr);
DUNE_API int dune_sandbox_free(struct dune_sandbox *box, dune_addr addr);
/*
 * The host's pointer to len bytes of the transfer heap at addr: NULL unless all
 * of them are in it. Good until reset and destroy. The plugin can change
 * what is there at any time: copy, then check, then use.
 */
DUNE_API void *dune_sandbox_pointer(struct dune_sandbox *box, dune_addr addr,
				    size_t len);

/*
 * Copies to or from any memory of the plugin. -EFAULT: not all of it is
 * the plugin's memory (and writable); how much was copied is not told.
 */
DUNE_API int dune_sandbox_copy_in(struct dune_sandbox *box, dune_addr to,
				  const void *from, size_t len);
DUNE_API int dune_sandbox_copy_out(struct dune_sandbox *box, void *to,
				   dune_addr from, size_t len);
/*
 * Copies a string of at most size - 1 bytes and ends it. Its length, or
 * -EFAULT, or -ENAMETOOLONG.
 */
DUNE_API long dune_sandbox_copy_string(struct dune_sandbox *box, char *to,
				       dune_addr from, size_t size);

/* ---- memory of the host's, shared without copying ---- */

enum dune_share {
	DUNE_SHARE_READ = 1,	/* the sandbox cannot write, ever */
	DUNE_SHARE_WRITE,
};

/*
 * A buffer of whole pages (size is rounded up) that can be mapped into any
 * number of sandboxes, each with the rights `how`. The host may write. -EINVAL:
 * no size, unknown rights; -ENOMEM, -EMFILE, -ENOSYS (Linux before 5.1).
 */
DUNE_API int dune_buffer_create(struct dune_engine *engine, size_t size,
				enum dune_share how, struct dune_buffer **buf);
/* Sandboxes that have it keep their mapping of the pages. NULL is fine. */
DUNE_API void dune_buffer_destroy(struct dune_buffer *buf);
DUNE_API void *dune_buffer_pointer(const struct dune_buffer *buf);
DUNE_API size_t dune_buffer_size(const struct dune_buffer *buf);

/*
 * The same for pages that the host has: private and anonymous, page aligned,
 * not written to by other threads meanwhile. They become the buffer's; destroy
 * gives the host a private copy at the same place. -EINVAL: not whole pages
 * either.
 */
DUNE_API int dune_buffer_adopt(struct dune_engine *engine, void *pages,
			       size_t size, enum dune_share how,
			       struct dune_buffer **buf);

/* Maps it into the sandbox, once; *addr is where. -EEXIST, -ENOMEM. */
DUNE_API int dune_sandbox_share(struct dune_sandbox *box,
				struct dune_buffer *buf, dune_addr *addr);
/*
 * Takes it away. A plugin that has been taken over may have kept a mapping
 * elsewhere: what it must not see goes into another buffer. -ENOENT: it is not
 * there.
 */
DUNE_API int dune_sandbox_unshare(struct dune_sandbox *box,
				  struct dune_buffer *buf);

/* ---- snapshot, reset, clone ---- */

/*
 * Freezes the sandbox as it is now (no calls under way): reset and clone start
 * from here. Threads of the plugin's own must be gone: -EBUSY, and nothing
 * has changed. A later snapshot replaces an earlier one.
 */
DUNE_API int dune_sandbox_snapshot(struct dune_sandbox *box);

/*
 * Back to the snapshot, or to an empty sandbox when there is none: then objects
 * and shares are gone, their pointers invalid; callbacks stay. Also
 * brings a dead sandbox back. Functions, addresses, heap blocks, objects
 * and shares of the time of the snapshot are good again; later ones are not.
 */
DUNE_API int dune_sandbox_reset(struct dune_sandbox *box);

/*
 * A new sandbox from the snapshot of another, whose clean pages it shares.
 * Functions of `box` at the snapshot are at the same places:
 * dune_function_in(). Objects are looked up by dune_sandbox_object(). -EINVAL:
 * no snapshot.
 */
DUNE_API int dune_sandbox_clone(struct dune_sandbox *box,
				struct dune_sandbox **clone);

/*
 * Writes the snapshot to a file: fd, open for writing, is cut to nothing first.
 * A later process restores it, on a machine of the same kind: a CPU that can as
 * much, the same kernel's vDSO, the same build of libdune; each is checked.
 * What the plugin knows is in the file: give it the mode of a secret where it
 * has any.
 * -EINVAL: no snapshot, or not a regular file. -E2BIG: more than 4096 objects.
 * -EBUSY: the plugin holds memory of the host's (dune_sandbox_unshare()) or
 * open files. -ENOSPC and others of write(2).
 */
DUNE_API int dune_sandbox_save(struct dune_sandbox *box, int fd);

/*
 * A sandbox as it was saved, with that as its snapshot: reset and clone work,
 * and functions, addresses, heap blocks have their values of then; objects are
 * looked up by dune_sandbox_object(). fd: open for reading. Options are as for
 * dune_sandbox_create(), but `heap` is the most that the file's may have: what
 * a plugin may do is never in the file, which may come from anybody. Callbacks
 * that the plugin imports fail with -ENOSYS until dune_sandbox_callbacks() has
 * named them again.
 * -EINVAL: not a saved sandbox, another build's, a damaged one; -ENOTSUP: from
 * a machine of another kind; -ENOMEM: the options memory, heap; others as for
 * create.
 */
DUNE_API int dune_sandbox_restore(struct dune_engine *engine, int fd,
				  const struct dune_sandbox_options *options,
				  struct dune_sandbox **box);

/* The n-th object that was loaded, from 0; NULL beyond. */
DUNE_API struct dune_object *dune_sandbox_object(struct dune_sandbox *box,
						 unsigned int n);

static inline struct dune_function dune_function_in(struct dune_sandbox *box,
						    struct dune_function f)
{
	f.box = box;
	return f;
}

/* ---- the end of a plugin ---- */

enum dune_cause {
	DUNE_CAUSE_NONE = 0,	/* it lives */
	DUNE_CAUSE_FAULT,	/* signal, address */
	DUNE_CAUSE_VIOLATION,	/* a system call, in text */
	DUNE_CAUSE_WALL_TIME,
	DUNE_CAUSE_CPU_TIME,
	DUNE_CAUSE_EXIT,	/* status */
	DUNE_CAUSE_KILLED,
	DUNE_CAUSE_PROTOCOL,
	DUNE_CAUSE_MONITOR,	/* our own failure */
};

struct dune_report {
	uint32_t size;		/* in: sizeof(struct dune_report) */
	uint32_t cause;		/* enum dune_cause */
	int32_t error;		/* what the call returned */
	int32_t signal;		/* DUNE_CAUSE_FAULT; else 0 */
	int32_t status;		/* DUNE_CAUSE_EXIT; else 0 */
	uint32_t reserved;
	dune_addr address;	/* of a memory fault; else 0 */
	dune_addr pc;		/* the instruction; 0: not known */
	/*
	 * For a person, many lines: registers, stack with symbols, the
	 * latest system calls. Never NULL; the sandbox's, until its reset.
	 */
	const char *text;
};

/* Fills *report as far as its size goes. -EINVAL: the size was not set. */
DUNE_API int dune_sandbox_report(struct dune_sandbox *box,
				 struct dune_report *report);

/* "fault", "violation" ...; static. */
DUNE_API const char *dune_cause_name(enum dune_cause cause);

struct dune_sandbox_stats {
	uint32_t size;		/* in */
	uint32_t reserved;
	uint64_t calls;		/* into the plugin */
	uint64_t callbacks;
	uint64_t sleeps;	/* calls for which the host thread slept */
	uint64_t wakes;		/* calls for which a plugin thread was woken */
	uint64_t resets;
	int32_t pid;		/* of the process now, 0: dead */
	uint32_t reserved2;
};

/* As the report: *stats as far as its size goes. */
DUNE_API int dune_sandbox_stats(struct dune_sandbox *box,
				struct dune_sandbox_stats *stats);

#ifdef __cplusplus
}
#endif

/* Typed wrappers of calls and callbacks, for C. */
#include "dune/sandbox-macros.h"

#endif
