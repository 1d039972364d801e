/*
 * Words of its standard input or of files, the most frequent first. A program
 * as there are many, and the three lines that let it run in Dune mode: its
 * include and those in main().
 *
 *   linking [-n COUNT] [FILE...]
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef WITH_DUNE
#include <dune.h>
#endif

#define BUCKETS 4096u

struct word {
	struct word *next;
	unsigned long count;
	char text[];
};

static struct word *bucket[BUCKETS];
static size_t words;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void count(const char *text)
{
	unsigned int hash = 5381;
	struct word **at, *w;
	const char *c;

	for (c = text; *c; c++)
		hash = hash * 33 ^ (unsigned char)*c;
	for (at = &bucket[hash % BUCKETS]; *at; at = &(*at)->next)
		if (!strcmp((*at)->text, text)) {
			(*at)->count++;
			return;
		}
	w = calloc(1, sizeof(*w) + strlen(text) + 1);
	if (!w)
		fail("linking");
	strcpy(w->text, text);
	w->count = 1;
	*at = w;
	words++;
}

static void read_words(FILE *f)
{
	char text[64];
	size_t n = 0;
	int c;

	do {
		c = getc(f);
		if (isalpha(c) && n < sizeof(text) - 1) {
			text[n++] = tolower(c);
		} else if (!isalpha(c) && n) {
			text[n] = '\0';
			count(text);
			n = 0;
		}
	} while (c != EOF);
}

static int by_count(const void *a, const void *b)
{
	const struct word *x = *(struct word *const *)a;
	const struct word *y = *(struct word *const *)b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return strcmp(x->text, y->text);
}

static void print_words(size_t most)
{
	struct word **all = malloc((words + 1) * sizeof(*all)), *w;
	size_t i, n = 0;

	if (!all)
		fail("linking");
	for (i = 0; i < BUCKETS; i++)
		for (w = bucket[i]; w; w = w->next)
			all[n++] = w;
	qsort(all, n, sizeof(*all), by_count);
	for (i = 0; i < n && i < most; i++)
		printf("%7lu %s\n", all[i]->count, all[i]->text);
	free(all);
}

int main(int argc, char **argv)
{
	size_t most = 10;
	FILE *f;
	int c;

#ifdef WITH_DUNE
	if (dune_enter())
		fprintf(stderr, "linking: %s\n", dune_errmsg());
#endif
	while ((c = getopt(argc, argv, "n:")) != -1) {
		if (c != 'n')
			return 2;
		most = strtoul(optarg, NULL, 10);
	}
	if (optind == argc)
		read_words(stdin);
	for (; optind < argc; optind++) {
		f = fopen(argv[optind], "r");
		if (!f)
			fail(argv[optind]);
		read_words(f);
		fclose(f);
	}
	print_words(most);
	return 0;
}
