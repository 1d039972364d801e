/*
 * Sthreads: page tables and stacks from a pool, ring 3 and back.
 *
 * The tables of an sthread follow the process's own: ring 0 finds itself in
 * them as everywhere. To ring 3 all is closed, but for code and constants
 * (opened once, when the tables are made), its stack and what its context
 * grants.
 */
#include "wedge.h"

#include <dune.h>
#include <dune/pgtable.h>
#include <dune/ring3.h>
#include <errno.h>
#include <link.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include "gate.h"

#define PAGE	4096ul
/* A room: guard, stack, thread-local variables, the thread's own structure. */
#define STACK	(64ul << 10)
#define TLS	(2 * PAGE)
#define ROOM	(PAGE + STACK + TLS + PAGE)
#define USED	(ROOM - PAGE)			/* all but the guard */

#define CLOSED	(PERM_R | PERM_W)
#define PCIDS	4095

#define SYSCALL_LEN	2
#define POLLED		64	/* at most, at once */

struct sthread {
	struct sthread *next;		/* in the pool */
	ptent_t *root;
	uint64_t pcid;
	char *room;
	sc_t sc;			/* what root and gate grant */
	struct dune_tf tf;		/* where it goes on */
	unsigned long fs;
	void *ret;
	bool waits;			/* for the descriptor in tf.rdi */
	bool trapped;			/* ended, by this: */
	struct sthread_trap trap;
};

static struct sthread *pool;
static unsigned int made;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static __thread struct sthread *running;
static __thread struct sthread *waiting;	/* of this thread, by next */
static __thread bool has_handlers;

/* ---- what ring 3 does ---- */

static enum dune_trap_action on_call(struct dune_tf *tf, unsigned int vector,
				     uint64_t addr, void *arg)
{
	struct sthread *st = running;

	(void)vector, (void)addr, (void)arg;
	if (!st)
		return DUNE_TRAP_PASS;
	if (tf->rax == SYS_exit || tf->rax == SYS_exit_group) {
		st->ret = (void *)ARG0(tf);
		dune_ret_from_user(0);
	}
	if (!wedge_gate(st->root, &st->sc, tf)) {
		st->tf = *tf;
		st->tf.rip -= SYSCALL_LEN;
		st->waits = true;
		dune_ret_from_user(0);
	}
	return DUNE_TRAP_RESUME;
}

static enum dune_trap_action on_trap(struct dune_tf *tf, unsigned int vector,
				     uint64_t addr, void *arg)
{
	struct sthread *st = running;

	(void)arg;
	if (!st || !(tf->cs & 3))
		return DUNE_TRAP_PASS;
	st->trapped = true;
	st->trap = (struct sthread_trap){ vector, tf->rip, addr };
	dune_ret_from_user(0);
}

/* Of this thread only, and before the program's own. */
static int set_handlers(void)
{
	unsigned int v;
	int r = dune_trap_set(DUNE_VEC_CALL, DUNE_TRAP_THREAD, on_call, NULL);

	for (v = 0; !r && v < DUNE_VEC_CALL; v++)
		if (v != DUNE_VEC_NMI)
			r = dune_trap_set(v, DUNE_TRAP_THREAD, on_trap, NULL);
	has_handlers = !r;
	return r;
}

void sthread_exit(void *ret)
{
	for (;;)
		sthread_call(SYS_exit, (long)ret, 0, 0);
}

static void begin(void *(*fn)(void *), void *arg)
{
	sthread_exit(fn(arg));
}

/* ---- tables ---- */

/*
 * Of program and libraries what is never written: other files that are mapped
 * may hold secrets.
 */
static int open_image(struct dl_phdr_info *info, size_t size, void *root)
{
	int i, r = 0;

	(void)size;
	for (i = 0; !r && i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uint64_t lo = info->dlpi_addr + p->p_vaddr;
		uint64_t hi = lo + p->p_memsz;
		int perm = PERM_R | PERM_U;

		if (p->p_type == PT_GNU_RELRO)	/* whole pages only */
			hi &= ~(PAGE - 1);
		else if (p->p_type != PT_LOAD || p->p_flags & PF_W)
			continue;
		else if (p->p_flags & PF_X)
			perm |= PERM_X;
		if (lo < hi)
			r = dune_vm_mprotect(root, (void *)lo, hi - lo, perm);
	}
	return r;
}

static struct sthread *make(void)
{
	struct sthread *st = calloc(1, sizeof(*st));

	if (!st)
		return NULL;
	st->room = mmap(NULL, ROOM, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (st->room == MAP_FAILED)
		goto no_room;
	st->root = dune_root_new(DUNE_ROOT_FOLLOW);
	if (!st->root)
		goto no_root;
	st->pcid = __atomic_fetch_add(&made, 1, __ATOMIC_RELAXED) % PCIDS + 1;
	if (mprotect(st->room, PAGE, PROT_NONE) ||
	    dl_iterate_phdr(open_image, st->root) ||
	    dune_vm_mprotect(st->root, st->room + PAGE, USED,
			     PERM_R | PERM_W | PERM_U) ||
	    /* new entries are dirty */
	    dune_vm_scan(st->root, st->room + PAGE, USED,
			 DUNE_SCAN_DIRTY | DUNE_SCAN_CLEAR, NULL) < 0)
		goto no_tables;
	return st;

no_tables:
	dune_vm_free(st->root);
no_root:
	munmap(st->room, ROOM);
no_room:
	free(st);
	return NULL;
}

static struct sthread *take(void)
{
	struct sthread *st;

	pthread_mutex_lock(&lock);
	st = pool;
	if (st)
		pool = st->next;
	pthread_mutex_unlock(&lock);
	return st ? st : make();
}

static void give(struct sthread *st)
{
	pthread_mutex_lock(&lock);
	st->next = pool;
	pool = st;
	pthread_mutex_unlock(&lock);
}

static bool has(const sc_t *sc, tag_t tag, int prot)
{
	unsigned int i;

	for (i = 0; i < sc->mems; i++)
		if (sc->mem[i].tag == tag && sc->mem[i].prot == prot)
			return true;
	return false;
}

/* Takes what the last one had and this one has not; then gives what is new. */
static int grant(struct sthread *st, const sc_t *sc)
{
	struct dune_vm_range range[2 * SC_MEMS];
	unsigned int i, n = 0;

	for (i = 0; i < st->sc.mems; i++)
		if (!has(sc, st->sc.mem[i].tag, st->sc.mem[i].prot))
			range[n++] = (struct dune_vm_range) {
				st->sc.mem[i].tag, TAG_SIZE, CLOSED,
			};
	for (i = 0; i < sc->mems; i++)
		if (!has(&st->sc, sc->mem[i].tag, sc->mem[i].prot))
			range[n++] = (struct dune_vm_range) {
				sc->mem[i].tag, TAG_SIZE,
				PERM_R | PERM_U |
				(sc->mem[i].prot & PROT_WRITE ? PERM_W : 0),
			};
	st->sc = *sc;
	return n ? dune_vm_protect_ranges(st->root, range, n) : 0;
}

/* ---- running ---- */

/* As much of a thread's structure as compiled code looks at. */
static uint64_t prepare_tls(struct sthread *st)
{
	uint64_t *tcb = (uint64_t *)(st->room + ROOM - PAGE);

	tcb[0] = tcb[2] = (uint64_t)tcb;
	__asm__("mov %%fs:0x28, %0" : "=r"(tcb[5]));	/* stack protector */
	return (uint64_t)tcb;
}

/* Is ring 0 emulated? Then in truth this is ring 3. */
static bool deprivileged(void)
{
	unsigned short cs;

	__asm__("mov %%cs, %0" : "=r"(cs));
	return cs & 3;
}

/*
 * What it has written is gone before anyone else runs there. On a software KVM
 * clearing dirty bits would cost faults: more than clearing the memory.
 */
static void clean(struct sthread *st)
{
	uint64_t dirty[USED / PAGE / 64 + 1] = { 0 };
	char *page = st->room + PAGE;
	unsigned int i;

	if (deprivileged() ||
	    dune_vm_scan(st->root, page, USED,
			 DUNE_SCAN_DIRTY | DUNE_SCAN_CLEAR, dirty) < 0)
		memset(dirty, 0xff, sizeof(dirty));
	for (i = 0; i < USED / PAGE; i++)
		if (dirty[i / 64] >> i % 64 & 1)
			memset(page + i * PAGE, 0, PAGE);
}

/*
 * From st->tf on, until it ends or waits. sc: NULL, or what it is granted
 * first.
 */
static int run(struct sthread *st, const sc_t *sc)
{
	unsigned long fs = dune_get_user_fs();
	ptent_t *before = dune_root_current();
	struct sthread *outer = running;
	int r;

	/*
	 * What is edited is edited while its root is in use: so what the CPU
	 * knows of the root is good for the next time.
	 */
	r = dune_root_switch(st->root, st->pcid | CR3_NOFLUSH);
	if (r)
		return r;
	r = sc ? grant(st, sc) : 0;
	if (!r) {
		dune_set_user_fs(st->fs);
		running = st;
		st->waits = false;
		r = dune_jump_to_user(&st->tf);
		running = outer;
		st->fs = dune_get_user_fs();
		dune_set_user_fs(fs);
	}
	if (!st->waits) {
		wedge_close_own(&st->sc);
		clean(st);
	}
	dune_root_switch(before, 0);
	return r;
}

int sthread_init(void)
{
	return dune_enter();
}

int sthread_create(sthread_t *out, const sc_t *sc, stcb_t fn, void *arg)
{
	struct sthread *st;
	int r = dune_enter();

	if (!r && !has_handlers)
		r = set_handlers();
	if (r)
		return r;
	st = take();
	if (!st)
		return -ENOMEM;
	st->trapped = false;
	st->fs = prepare_tls(st);
	st->tf = (struct dune_tf) {
		.rip = (uint64_t)begin, .rdi = (uint64_t)fn,
		.rsi = (uint64_t)arg,
		/* as if called */
		.rsp = (uint64_t)st->room + PAGE + STACK - 8,
	};
	r = run(st, sc);
	if (r) {
		give(st);
		return r;
	}
	if (st->waits) {
		st->next = waiting;
		waiting = st;
	}
	*out = st;
	return 0;
}

/* Some of those that wait go on; st, if it waits, is among those looked at. */
static int turn(struct sthread *st)
{
	struct sthread *of[POLLED], *s;
	struct pollfd p[POLLED];
	unsigned int n = 1, i;
	int r = 0;

	of[0] = st;
	for (s = waiting; s && n < POLLED; s = s->next)
		if (s != st)
			of[n++] = s;
	for (i = 0; i < n; i++)
		p[i] = (struct pollfd){ of[i]->tf.rdi, POLLIN, 0 };
	while (poll(p, n, -1) < 0)
		if (errno != EINTR)
			return -errno;
	for (i = 0; !r && i < n; i++)
		if (p[i].revents)
			r = run(of[i], NULL);
	return r;
}

/* Out of the list what waits no more. */
static void sort_out(void)
{
	struct sthread **at = &waiting;

	while (*at)
		if ((*at)->waits)
			at = &(*at)->next;
		else
			*at = (*at)->next;
}

const struct sthread_trap *sthread_trapped(sthread_t st)
{
	return st->trapped ? &st->trap : NULL;
}

int sthread_join(sthread_t st, void **ret)
{
	int r = 0;

	while (!r && st->waits) {
		r = turn(st);
		sort_out();
	}
	if (r)
		return r;
	if (st->trapped)
		r = -EFAULT;
	if (ret)
		*ret = r ? NULL : st->ret;
	give(st);
	return r;
}
