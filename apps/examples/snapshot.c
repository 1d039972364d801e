/*
 * A snapshot of a heap, and going back to it. The snapshot costs a copy of the
 * page tables, no copy of memory: the first write to each page does that,
 * and going back copies only what was written.
 */
#include <dune.h>
#include <dune/pgtable.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096ul
#define HEAP (16ul << 20)

static char *heap;
static size_t heap_used;

static void *take(size_t size)
{
	void *p = heap + heap_used;

	heap_used += (size + 15) & ~15ul;
	return heap_used <= HEAP ? p : NULL;
}

struct node {
	struct node *child[2];
	unsigned int key;
};

static void insert(struct node **root, unsigned int key)
{
	while (*root && (*root)->key != key)
		root = &(*root)->child[key > (*root)->key];
	if (*root)
		return;
	*root = take(sizeof(**root));
	memset(*root, 0, sizeof(**root));
	(*root)->key = key;
}

static unsigned long sum(const struct node *n)
{
	return n ? n->key + sum(n->child[0]) + sum(n->child[1]) : 0;
}

static unsigned long pages_restored;

/* The snapshot has a page of its own where the heap's was written since. */
static int restore_page(const void *arg, ptent_t *pte, void *va)
{
	struct page *old = dune_pa2page(PTE_ADDR(*pte));

	(void)arg;
	if (old) {
		memcpy(va, dune_page_va(old), PAGE);
		pages_restored++;
	}
	return 0;
}

int main(void)
{
	unsigned long before, edited, after;
	struct node *root = NULL;
	ptent_t *snapshot;
	unsigned int i;

	if (dune_enter()) {
		fprintf(stderr, "snapshot: %s\n", dune_errmsg());
		return 1;
	}
	heap = mmap(NULL, HEAP, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (i = 1; i < 20000; i++)
		insert(&root, i * 2654435761u >> 8);
	before = sum(root);

	snapshot = dune_vm_clone(pgroot);
	if (!snapshot) {
		fprintf(stderr, "snapshot: out of table pages\n");
		return 1;
	}
	root->child[0]->key += 7;	/* what a failed transaction did */
	memset(root->child[1], 0, sizeof(*root));
	edited = sum(root);

	if (dune_vm_page_walk(snapshot, heap, heap + HEAP - 1, restore_page,
			      NULL))
		return 1;
	after = sum(root);
	dune_vm_free(snapshot);
	printf("sum %lu, edited %lu, restored %lu: %lu of %lu pages copied\n",
	       before, edited, after, pages_restored, heap_used / PAGE);
	return before != after || before == edited || pages_restored > 2;
}
