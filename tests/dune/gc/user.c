/*
 * A program as a user of the installed collector writes it, in C and in C++:
 * a list, half of which dies and is finalized.
 *
 *	user [dune]
 */
#include <dune-gc.h>
#include <dune.h>
#include <stdio.h>

struct node {
	struct node *next;
	long value;
};

static struct node *list;
static long sum;

static void finalize(void *object, void *arg)
{
	*(long *)arg += ((struct node *)object)->value;
}

int main(int argc, char **argv)
{
	static struct gc_options o;
	struct node *n;
	struct gc_stats s;
	long i, left = 0;
	int type;

	(void)argv;
	o.os = argc > 1 ? &gc_os_dune : &gc_os_protect;
	o.flags = GC_PRECISE_STACKS | GC_VERIFY;
	if ((argc > 1 && dune_enter()) || gc_init(&o))
		return 1;
	type = gc_type(sizeof(*n), 1);
	if (type < 0 || gc_root_add(&list, 1, gc_type(8, 1)))
		return 1;
	for (i = 0; i < 1000; i++) {
		n = (struct node *)gc_alloc(type, sizeof(*n));
		n->next = list;
		n->value = i;
		list = n;
		if (gc_finalize(n, finalize, &sum))
			return 1;
	}
	for (n = list, i = 0; i < 499; i++)
		n = n->next;
	n->next = NULL;
	if (gc_collect(GC_COMPACT) || gc_run_finalizers() != 500)
		return 1;
	for (n = list; n; n = n->next)
		left += n->value;
	gc_stats(&s);
	if (sum != 499 * 500 / 2 || left != 999 * 1000 / 2 - sum || s.bad)
		return 1;
	gc_exit();
	puts("collected");
	return 0;
}
