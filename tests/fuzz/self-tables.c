/*
 * The page-table functions in any order, against a model that knows for every
 * page of every root whether it is there, writable, ring 3's, and what is in
 * it. Snapshots make roots; an access is what fake-tables.h makes of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include "tests/unit/fake-tables.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define VA(x)		((void *)(x))
#define ROOTS		4
#define RUN		16	/* pages next to each other */
#define PAGES		(3 * RUN)

struct state {
	bool present, writable, user;
	bool hidden;		/* by PERM_NONE: the page is kept */
	bool pool;		/* a page of the pool, not the process's */
	char value;
};

static struct {
	ptent_t *root;		/* NULL: not in use; 0: the main root */
	struct state page[PAGES];
} model[ROOTS];

static const uint64_t run_at[] = {
	SMALL_MAP + LARGE - RUN / 2 * PAGE,
	BIG_MAP + LARGE - RUN / 2 * PAGE,
	0x300000000000ul,		/* nothing of the process's */
};

#define MUST(cond) do {							\
	if (!(cond)) {							\
		fprintf(stderr, "line %d: %s\n", __LINE__, #cond);	\
		abort();						\
	}								\
} while (0)

static uint64_t va_of(unsigned int page)
{
	return run_at[page / RUN] + page % RUN * PAGE;
}

static char *byte(ptent_t *root, uint64_t va)
{
	ptent_t v = entry(root, va), *e;
	char *host;
	int level;

	MUST(v & PTE_P && !dune_walk_leaf(root, va, &e, &level));
	host = fake_host(dune_leaf_pa(v, level) +
			 (va & (dune_level_size(level) - 1)));
	MUST(host);
	return host;
}

/* Faults until the entry that the CPU looks at allows it; -EFAULT: never. */
static int touch(ptent_t *root, uint64_t va, bool write, bool user)
{
	const uint64_t gpa = dune_table_gpa(root);
	ptent_t *table = user ? dune_table_at(dune_userview_cr3(gpa)) : root;
	uint32_t error;
	ptent_t v;
	int i;

	fake.cr3 = gpa;
	for (i = 0; i < 6; i++) {
		v = entry(table, va);
		if (v & PTE_P && (!write || v & PTE_W))
			return 0;
		error = (v & PTE_P ? DUNE_PF_PRESENT : 0) |
			(write ? DUNE_PF_WRITE : 0) |
			(user ? DUNE_PF_USER : 0);
		if (dune_vm_fault(va, &error, user))
			return -EFAULT;
	}
	MUST(!"it faults without end");
	return 0;
}

static void use(unsigned int r, unsigned int page, bool write, bool user,
		   char value)
{
	struct state *s = &model[r].page[page];
	const uint64_t va = va_of(page) + page;
	bool may = s->present && (!write || s->writable) &&
		   (!user || s->user);

	user = user && fake.setup.flags & DUNE_VMF_SOFT;
	if (!user)
		may = s->present && (!write || s->writable);
	MUST((touch(model[r].root, va, write, user) == 0) == may);
	fake.cr3 = MAIN_GPA;
	if (!may)
		return;
	if (write)
		*byte(model[r].root, va) = s->value = value;
	MUST(*byte(model[r].root, va) == s->value);
}

static void protect(struct state *s, int perm)
{
	if (!s->present && !s->hidden)
		return;
	s->present = perm & PERM_R;
	s->hidden = !s->present;
	s->writable = perm & PERM_W;
	s->user = perm & PERM_U;
}

/* ---- one call each; n pages from `page` on ---- */

struct op {
	unsigned int r, page, n;
	uint8_t arg;
};

static void do_protect(const struct op *op)
{
	static const int perms[] = {
		PERM_NONE, PERM_R, PERM_R | PERM_W, PERM_R | PERM_U,
		PERM_R | PERM_W | PERM_U, PERM_R | PERM_X,
	};
	int perm = perms[op->arg % DUNE_ARRAY_SIZE(perms)];
	unsigned int i;

	MUST(!dune_vm_mprotect(model[op->r].root, VA(va_of(op->page)),
			       op->n * PAGE, perm));
	for (i = op->page; i < op->page + op->n; i++)
		protect(&model[op->r].page[i], perm);
}

static void do_unmap(const struct op *op)
{
	unsigned int i;

	dune_vm_unmap(model[op->r].root, VA(va_of(op->page)), op->n * PAGE);
	for (i = op->page; i < op->page + op->n; i++)
		model[op->r].page[i] = (struct state){ .value = 0 };
}

static void do_map(const struct op *op)
{
	int perm = PERM_R | (op->arg & 1 ? PERM_W : 0) |
		   (op->arg & 2 ? PERM_U : 0);
	unsigned int i;

	MUST(!dune_vm_map_pages(model[op->r].root, VA(va_of(op->page)),
				op->n * PAGE, perm));
	for (i = op->page; i < op->page + op->n; i++)
		model[op->r].page[i] = (struct state){
			.present = true, .writable = perm & PERM_W,
			.user = perm & PERM_U, .pool = true,
		};
}

static void do_split(const struct op *op)
{
	MUST(!dune_vm_split(model[op->r].root, VA(va_of(op->page)),
			    op->n * PAGE));
}

static void do_scan(const struct op *op)
{
	const int flags = op->arg % 4 * DUNE_SCAN_ACCESSED;
	uint64_t bits[2];
	long n = dune_vm_scan(model[op->r].root, VA(va_of(op->page)),
			      op->n * PAGE, flags | (op->arg >> 2 & 1), bits);

	if (!flags)
		MUST(n == -EINVAL);
	else
		MUST(n >= 0 && n <= op->n &&
		     n == __builtin_popcountl(bits[0]));
}

static void do_clone(const struct op *op)
{
	unsigned int to;

	for (to = 1; to < ROOTS && model[to].root; to++)
		;
	if (to == ROOTS)
		return;
	model[to].root = dune_vm_clone(model[op->r].root);
	MUST(model[to].root);
	dune_root_follow(model[to].root, false);
	memcpy(model[to].page, model[op->r].page, sizeof(model[to].page));
}

static void do_free(const struct op *op)
{
	if (!op->r)
		return;
	dune_vm_free(model[op->r].root);
	model[op->r].root = NULL;
}

static void do_flush(const struct op *op)
{
	fake.cr3 = dune_table_gpa(model[op->r].root);
	if (op->arg & 1)
		dune_flush_tlb_all();
	else
		dune_flush_tlb_one(va_of(op->page));
	fake.cr3 = MAIN_GPA;
}

static void do_access(const struct op *op)
{
	unsigned int i;

	for (i = op->page; i < op->page + op->n; i++)
		use(op->r, i, op->arg & 1, op->arg & 2, op->arg);
}

static void (*const ops[])(const struct op *op) = {
	do_access, do_access, do_access, do_protect, do_unmap, do_map,
	do_split, do_scan, do_clone, do_free, do_flush,
};

/* What was there at the start: the process's pages, zero. */
static void begin(unsigned int flags)
{
	unsigned int i;

	MUST(!fake_start(flags));
	fake_watch_window();
	memset(model, 0, sizeof(model));
	model[0].root = pgroot;
	for (i = 0; i < 2 * RUN; i++)
		model[0].page[i] = (struct state){
			.present = true, .writable = true,
		};
}

static void end(void)
{
	uint64_t pool = 0;
	unsigned int r, i;

	for (r = 0; r < ROOTS; r++)
		for (i = 0; model[r].root && i < PAGES; i++)
			use(r, i, i & 1, false, i);
	for (r = 1; r < ROOTS; r++)
		if (model[r].root)
			dune_vm_free(model[r].root);
	for (i = 0; i < PAGES; i++)
		pool += model[0].page[i].pool;
	MUST(dune_vms->used_pages == pool);
	MUST(!dune_vms->lock && !fake.held);
	fake_stop();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct op op;

	if (!size)
		return 0;
	begin(data[0] & 1 ? DUNE_VMF_SOFT : 0);
	for (data++, size--; size >= 4; data += 4, size -= 4) {
		op.r = data[0] >> 6;
		op.page = data[1] % PAGES;
		op.n = data[2] % (RUN - op.page % RUN) + 1;
		op.arg = data[3];
		if (model[op.r].root)
			ops[data[0] % 64 % DUNE_ARRAY_SIZE(ops)](&op);
	}
	end();
	return 0;
}
