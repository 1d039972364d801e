/*
 * A graph of old objects whose only references to new ones are stored without
 * telling the collector. A dirty page that it does not get to know of is
 * an object that is lost: its memory is somebody else's by then, and its
 * number wrong.
 */
#include <gc.h>
#include <stdio.h>
#include <stdlib.h>

#define N	40000
#define ROUNDS	40
#define MAGIC	0x5eedf00dul

struct node {
	unsigned long number;
	struct node *child;
	unsigned long check;
};

static struct node *new_node(unsigned long number)
{
	struct node *n = GC_MALLOC(sizeof(*n));

	n->number = number;
	n->check = number ^ MAGIC;
	return n;
}

int main(void)
{
	struct node **old = GC_MALLOC(N * sizeof(*old));
	unsigned long i, k, round, bad = 0, seed = 1;

	GC_INIT();
	GC_set_full_freq(1000);
	for (i = 0; i < N; i++) {
		old[i] = new_node(i);
		old[i]->child = new_node(i);
	}
	GC_gcollect();
	for (round = 0; round < ROUNDS; round++) {
		for (k = 0; k < N / 8; k++) {
			seed = seed * 6364136223846793005ul +
			       1442695040888963407ul;
			i = (seed >> 33) % N;
			old[i]->child = new_node(i);
		}
		/* what is lost becomes somebody else's */
		for (k = 0; k < N / 4; k++)
			new_node(-1ul);
		for (i = 0; i < N; i++)
			bad += old[i]->child->number != i ||
			       old[i]->child->check != (i ^ MAGIC);
	}
	printf("%s, %s\n", GC_is_incremental_mode() ? "incremental" : "plain",
	       bad ? "objects lost" : "all there");
	return bad != 0;
}
