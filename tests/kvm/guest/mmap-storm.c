/*
 * Many small mappings and unmappings, one after the other and in a random
 * order: none leaks, none keeps an old page's contents. An argument sets the
 * number.
 */
#include "guest.h"

#define SLOTS 256

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 10000;
	static char *slot[SLOTS];
	static int pages[SLOTS];
	unsigned int seed = 12345;

	for (int i = 0; i < n / 2; i++) {
		char *p = map(PAGE, PROT_READ | PROT_WRITE);

		if (i % 4 == 0) {
			CHECK(p[8] == 0);
			p[8] = 1;
		}
		CHECK(munmap(p, PAGE) == 0);
	}
	for (int i = 0; i < n / 2; i++) {
		int s;

		seed = seed * 1103515245 + 12345;
		s = seed >> 16 & (SLOTS - 1);
		if (slot[s]) {
			CHECK(slot[s][0] == (char)s);
			CHECK(slot[s][(pages[s] - 1) * PAGE + 9] == (char)s);
			CHECK(munmap(slot[s], pages[s] * PAGE) == 0);
			slot[s] = NULL;
			continue;
		}
		pages[s] = 2 + (seed >> 8 & 7);
		slot[s] = map(pages[s] * PAGE, PROT_READ | PROT_WRITE);
		CHECK(slot[s][0] == 0 && slot[s][PAGE] == 0);
		slot[s][0] = s;
		slot[s][(pages[s] - 1) * PAGE + 9] = s;
	}
	say("%d rounds\n", n);
	return 0;
}
