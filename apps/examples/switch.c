/*
 * Two tasks with address spaces of their own in one process, and a context
 * switch that never enters the kernel: stacks by swapping a few registers,
 * address spaces by loading CR3.
 */
#include <dune.h>
#include <dune/pgtable.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE	4096ul
#define STACK	(64ul << 10)
#define ROUNDS	1000

struct task {
	void *sp;		/* while it does not run; first */
	ptent_t *root;
	uint64_t pcid;
	unsigned long sum;
};

static struct task main_task, task[2];
static unsigned long *private;	/* the same address, a page for each task */

/* Saves what a call keeps, on the stack, and goes on where `to` did so. */
void switch_stack(struct task *from, struct task *to);
__asm__("switch_stack:\n"
	"push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n"
	"mov %rsp, (%rdi)\n"
	"mov (%rsi), %rsp\n"
	"pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp\n"
	"ret\n");

/* What the other task runs on is mapped in both. */
static void switch_to(struct task *from, struct task *to)
{
	dune_root_switch(to->root, to->pcid);
	switch_stack(from, to);
}

static void body(struct task *self, struct task *next)
{
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		*private += self->pcid;
		self->sum = *private;
		switch_to(self, next);
	}
}

static void first(void)
{
	body(&task[0], &task[1]);
	switch_to(&task[0], &main_task);
}

static void second(void)
{
	body(&task[1], &task[0]);
}

static int make(struct task *t, uint64_t pcid, void (*start)(void))
{
	char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void **top = (void **)(stack + STACK);

	if (stack == MAP_FAILED)
		return -1;
	memset(stack, 0, STACK);
	*--top = NULL;			/* so that start() finds a call's */
	*--top = (void *)start;		/* alignment */
	t->sp = top - 6;
	t->pcid = pcid;
	t->root = dune_root_new(DUNE_ROOT_FOLLOW);
	return t->root ? dune_vm_map_pages(t->root, private, PAGE,
					   PERM_R | PERM_W) : -1;
}

int main(void)
{
	if (dune_enter()) {
		fprintf(stderr, "switch: %s\n", dune_errmsg());
		return 1;
	}
	private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*private = 5;
	main_task.root = pgroot;
	if (make(&task[0], 1, first) || make(&task[1], 2, second)) {
		fprintf(stderr, "switch: %s\n", dune_errmsg());
		return 1;
	}
	switch_to(&main_task, &task[0]);

	printf("%u switches; task 1 counted to %lu, task 2 to %lu, "
	       "main has %lu\n", 2 * ROUNDS, task[0].sum, task[1].sum,
	       *private);
	return task[0].sum != ROUNDS || task[1].sum != 2 * ROUNDS ||
	       *private != 5;
}
