/*
 * Workloads for memory managers: trees as in GCBench (after Ellis, Kovac and
 * Boehm), a linked list and a hash map that live long and are changed, XML
 * documents made into trees, and binary trees. They free what they drop, for
 * malloc.
 */
#include "bench/gc/work.h"

#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench/gc/mem.h"

static void expect(int truth)
{
	if (!truth) {
		fprintf(stderr, "wrong result\n");
		abort();
	}
}

static uint64_t random_state = 88172645463325252ull;

static uint64_t random_below(uint64_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % n;
}

/* ---- trees ---- */

struct tree {
	struct tree *left, *right;
	int i, j;
};

static int tree_type;

static struct tree *bottom_up(int depth)
{
	struct tree *t, *l = NULL, *r = NULL;

	if (depth > 0) {
		l = bottom_up(depth - 1);
		r = bottom_up(depth - 1);
	}
	t = mem_new(tree_type, sizeof(*t));
	t->left = l;
	t->right = r;
	return t;
}

static void populate(int depth, struct tree *t)
{
	if (depth <= 0)
		return;
	t->left = mem_new(tree_type, sizeof(*t));
	t->right = mem_new(tree_type, sizeof(*t));
	populate(depth - 1, t->left);
	populate(depth - 1, t->right);
}

static long count(const struct tree *t)
{
	return t ? 1 + count(t->left) + count(t->right) : 0;
}

static void drop(struct tree *t)
{
	if (!t)
		return;
	drop(t->left);
	drop(t->right);
	mem_free(t);
}

static struct tree *long_lived;

static void trees(unsigned int size)
{
	/* A small run is for an emulated machine. */
	const int stretch = size < 10 ? 15 : 18, lived = size < 10 ? 15 : 16;
	int depth, i, n;
	struct tree *t;
	double *array;

	drop(bottom_up(stretch));
	long_lived = mem_new(tree_type, sizeof(*long_lived));
	populate(lived, long_lived);
	array = mem_new(MEM_LEAF, 500000 * sizeof(*array));
	for (i = 1; i < 250000; i++)
		array[i] = 1.0 / i;
	for (depth = 4; depth <= stretch - 2; depth += 2) {
		n = 2 * ((1l << 19) - 1) / ((1l << (depth + 1)) - 1);
		n = n * (long)size / 100 + 1;
		for (i = 0; i < n; i++) {
			t = mem_new(tree_type, sizeof(*t));
			populate(depth, t);
			drop(t);
		}
		for (i = 0; i < n; i++)
			drop(bottom_up(depth));
	}
	expect(count(long_lived) == (1l << (lived + 1)) - 1);
	expect(array[1000] == 1.0 / 1000);
	mem_free(array);
	drop(long_lived);
	long_lived = NULL;
}

static void binary_trees(unsigned int size)
{
	const int max = 16;
	int depth, i, n;
	long sum;

	long_lived = bottom_up(max);
	for (depth = 4; depth <= max; depth += 4) {
		n = (1 << (max - depth + 4)) * (long)size / 100 + 1;
		for (i = 0, sum = 0; i < n; i++) {
			struct tree *t = bottom_up(depth);

			sum += count(t);
			drop(t);
		}
		expect(sum == n * ((1l << (depth + 1)) - 1));
	}
	expect(count(long_lived) == (1l << (max + 1)) - 1);
	drop(long_lived);
	long_lived = NULL;
}

/* ---- a linked list ---- */

struct item {
	struct item *next;
	uint64_t *value;
};

static struct item *first;
static int item_type;

/* Old items get new values, a few at a time, and garbage is made besides. */
static void list(unsigned int size)
{
	const long items = 200000, rounds = 40 * (long)size / 100 + 1;
	struct item *i;
	long n, r;

	for (n = 0; n < items; n++) {
		i = mem_new(item_type, sizeof(*i));
		i->value = mem_new(MEM_LEAF, sizeof(*i->value));
		*i->value = 2 * n;
		i->next = first;
		first = i;
	}
	for (r = 0; r < rounds; r++)
		for (i = first; i; i = i->next) {
			uint64_t *v = mem_new(MEM_LEAF, sizeof(*v));

			*v = *i->value;
			if (random_below(50)) {
				mem_free(v);
				continue;
			}
			mem_free(i->value);
			i->value = v;
		}
	for (n = items; first; first = i) {
		expect(*first->value == (uint64_t)--n * 2);
		i = first->next;
		mem_free(first->value);
		mem_free(first);
	}
	expect(n == 0);
}

/* ---- a hash map ---- */

struct entry {
	struct entry *next;
	char *key, *value;
};

#define BUCKETS	(1u << 16)

static struct entry **table;
static int entry_type, pointer_type;

static char *text(uint64_t n)
{
	char *s = mem_new(MEM_LEAF, 32);

	snprintf(s, 32, "number %lu", n);
	return s;
}

static struct entry **find(uint64_t n)
{
	struct entry **e;
	char key[32];

	snprintf(key, sizeof(key), "number %lu", n);
	e = &table[n * 0x9e3779b97f4a7c15ul >> 48];
	while (*e && strcmp((*e)->key, key))
		e = &(*e)->next;
	return e;
}

static void put(uint64_t n)
{
	struct entry **at = find(n), *e = *at;
	char *value = text(~n);

	if (e) {
		mem_free(e->value);
		e->value = value;
		return;
	}
	e = mem_new(entry_type, sizeof(*e));
	e->key = text(n);
	e->value = value;
	*find(n) = e;
}

static void take_out(uint64_t n)
{
	struct entry **at = find(n), *e = *at;
	char want[32];

	if (!e)
		return;
	snprintf(want, sizeof(want), "number %lu", ~n);
	expect(!strcmp(e->value, want));
	*at = e->next;
	mem_free(e->key);
	mem_free(e->value);
	mem_free(e);
}

static void hash(unsigned int size)
{
	const uint64_t keys = 100000;
	long n, ops = 15000ul * size;

	table = mem_new(pointer_type, BUCKETS * sizeof(*table));
	for (n = 0; n < ops; n++) {
		uint64_t key = random_below(keys);

		if (random_below(4))
			put(key);
		else
			take_out(key);
	}
	for (n = 0; n < (long)keys; n++)
		take_out(n);
	mem_free(table);
	table = NULL;
}

/* ---- XML ---- */

struct element {
	struct element *parent, *child, *next;
	char *name, *text;
	long children;
};

static int element_type;
static struct element *document[16];
static struct element *open_element;

static char *copy(const char *s, size_t n)
{
	char *c = mem_new(MEM_LEAF, n + 1);

	memcpy(c, s, n);
	return c;
}

static void on_start(void *parser, const char *name, const char **attributes)
{
	struct element *e = mem_new(element_type, sizeof(*e));

	(void)parser, (void)attributes;
	e->name = copy(name, strlen(name));
	e->parent = open_element;
	if (e->parent) {
		e->next = e->parent->child;
		e->parent->child = e;
		e->parent->children++;
	}
	open_element = e;
}

static void on_end(void *parser, const char *name)
{
	(void)parser;
	expect(!strcmp(open_element->name, name));
	if (open_element->parent)
		open_element = open_element->parent;
}

static void on_text(void *parser, const char *s, int n)
{
	(void)parser;
	mem_free(open_element->text);
	open_element->text = copy(s, n);
}

static void drop_element(struct element *e)
{
	struct element *next;

	for (; e; e = next) {
		next = e->next;
		drop_element(e->child);
		mem_free(e->name);
		mem_free(e->text);
		mem_free(e);
	}
}

static struct element *parse(const char *s, size_t n)
{
	XML_Parser p = XML_ParserCreate(NULL);

	expect(p != NULL);
	open_element = NULL;
	XML_SetElementHandler(p, on_start, on_end);
	XML_SetCharacterDataHandler(p, on_text);
	expect(XML_Parse(p, s, n, 1) == XML_STATUS_OK);
	XML_ParserFree(p);
	return open_element;
}

/* About 300 KiB, made once. */
static size_t make_xml(char *s, size_t room)
{
	size_t n = snprintf(s, room, "<library>");
	int i;

	for (i = 0; i < 3000; i++)
		n += snprintf(s + n, room - n, "<book><title>Volume %d</title>"
			      "<author><first>A%d</first><last>B%d</last>"
			      "</author><pages>%d</pages></book>\n", i, i % 97,
			      i % 89, i * 7);
	return n + snprintf(s + n, room - n, "</library>");
}

static void xml(unsigned int size)
{
	static char source[600000];
	size_t len = make_xml(source, sizeof(source));
	long n, rounds = 120 * (long)size / 100 + 1;

	for (n = 0; n < rounds; n++) {
		struct element **d = &document[n % 16];

		drop_element(*d);
		*d = parse(source, len);
		expect((*d)->children == 3000);
	}
	for (n = 0; n < 16; n++) {
		drop_element(document[n]);
		document[n] = NULL;
	}
}

/* ---- all ---- */

const struct work works[] = {
	{ "trees", "as GCBench: short-lived trees, a long-lived one", trees },
	{ "list", "a long list, a fiftieth of it changed at each walk", list },
	{ "hash", "a hash map of strings: put, replace, take out", hash },
	{ "xml", "XML parsed into trees, the last 16 are kept", xml },
	{ "binary-trees", "the benchmark game's, to depth 16", binary_trees },
	{ NULL, NULL, NULL },
};

void works_begin(void)
{
	tree_type = mem_type(sizeof(struct tree), 3);
	item_type = mem_type(sizeof(struct item), 3);
	entry_type = mem_type(sizeof(struct entry), 7);
	pointer_type = mem_type(8, 1);
	element_type = mem_type(sizeof(struct element), 31);
	mem_roots(&long_lived, 1);
	mem_roots(&first, 1);
	mem_roots(&table, 1);
	mem_roots(document, 16);
	mem_roots(&open_element, 1);
}
