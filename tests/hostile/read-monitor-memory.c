/* Loads and stores all over the address space outside the program's own. */
#include "hostile.h"

static int probe(unsigned long a, int *reads)
{
	volatile unsigned char *p = (unsigned char *)a;
	unsigned char v = 0;

	if (TRY(v = *p)) {
		(*reads)++;
		if (TRY(*p = v))
			return 1;
	}
	return 0;
}

int main(void)
{
	int reads = 0, gate = 0, boxes = 0;
	unsigned int seed = 1;
	unsigned long a;

	try_init();
	for (unsigned int i = 0; i < OUTSIDE; i++)
		if (probe(outside[i], outside[i] >= ARENA_HI &&
			  outside[i] < 0x503000000000ul ? &gate : &reads))
			ESCAPED("store to %#lx", outside[i]);
	/*
	 * The ring 0 area: a stub page may be readable, and this thread's
	 * mailbox (see mailbox.c here) is its own to ruin.
	 */
	for (a = RING0; a < RING0 + 256 * PAGE; a += PAGE)
		if (probe(a, &gate) && ++boxes > 1)
			ESCAPED("store to ring 0 area + %#lx", a - RING0);
	if (gate > 24)
		ESCAPED("%d pages of the ring 0 area can be read", gate);
	/* Where static PIE monitors, their heaps, stacks and libraries go. */
	for (int i = 0; i < 1500; i++) {
		seed = seed * 1103515245 + 12345;
		a = i % 3 == 0 ? 0x550000000000ul : 0x7f0000000000ul;
		a += ((unsigned long)(seed >> 8) << 16) & 0xffffffffffful;
		if (a < USER_END && probe(a, &reads))
			ESCAPED("store to %#lx", a);
	}
	for (a = ARENA_HI + PAGE; a < USER_END; a += 0x4000000000ul)
		if (a != GATE + PAGE &&	/* the mailbox once more */
		    probe(a, a < 0x503000000000ul ? &gate : &reads))
			ESCAPED("store to %#lx", a);
	if (TRY(*(volatile char *)GATE = 0))
		ESCAPED("store to the entry code");
	if (reads)
		ESCAPED("%d loads from outside", reads);
	contained("loads and stores fault");
	return 0;
}
