/*
 * Dirty pages here and there: with dirty bits by mprotect() each is a mapping
 * of its own, until there are too many.
 */
#include <gc.h>
#include <stdio.h>

#define N	30000
#define SIZE	4000

int main(void)
{
	static char *object[N];
	FILE *f;
	int i, c, lines = 0;

	GC_INIT();
	for (i = 0; i < N; i++)
		object[i] = GC_MALLOC(SIZE);
	GC_gcollect();
	for (i = 0; i < N; i += 2)
		object[i][0] = 1;
	GC_collect_a_little();
	for (i = 0; i < N; i += 3)
		object[i][0] = 2;
	f = fopen("/proc/self/maps", "r");
	while ((c = getc(f)) != EOF)
		lines += c == '\n';
	printf("%s, %s mappings\n", GC_is_incremental_mode() ? "incremental" :
	       "plain", lines < 500 ? "few" : "many");
	return lines >= 500;
}
