/* A guess at the guest's call stack. */
#include "kern/report/backtrace.h"

#include <string.h>

#define SCAN_WORDS 64

/* Frames further apart than this are no chain. */
#define FRAME_MAX (8ul << 20)

/*
 * Does a call instruction end at pc? call rel32, or call through a register
 * or memory (FF /2) of any length.
 */
static bool after_call(const struct dune_backtrace *b, dune_gva_t pc)
{
	uint8_t code[7];
	unsigned int len;

	if (pc < sizeof(code) ||
	    b->read(b->ctx, code, pc - sizeof(code), sizeof(code)))
		return false;
	if (code[2] == 0xe8)
		return true;
	for (len = 2; len <= 7; len++)
		if (code[7 - len] == 0xff && (code[8 - len] & 0x38) == 0x10)
			return true;
	return false;
}

static unsigned int follow_chain(const struct dune_backtrace *b,
				 dune_gva_t rsp, dune_gva_t rbp,
				 struct dune_frame *f, unsigned int max)
{
	struct { dune_gva_t rbp, ret; } link;
	unsigned int n = 0;

	while (n < max && rbp >= rsp && rbp - rsp < FRAME_MAX && !(rbp & 7)) {
		if (b->read(b->ctx, &link, rbp, sizeof(link)) ||
		    !b->is_code(b->ctx, link.ret))
			break;
		f[n++] = (struct dune_frame){ link.ret, rbp + 8, true };
		rsp = rbp + sizeof(link);
		rbp = link.rbp;
	}
	return n;
}

static bool in_chain(const struct dune_frame *f, unsigned int n,
		     dune_gva_t slot)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (f[i].slot == slot)
			return true;
	return false;
}

/* Keeps frames in order of their slots; the outermost falls out. */
static unsigned int insert(struct dune_frame *f, unsigned int n,
			   unsigned int max, struct dune_frame new)
{
	unsigned int i = n;

	while (i > 0 && f[i - 1].slot > new.slot)
		i--;
	if (i == max)
		return n;
	if (n == max)
		n--;
	memmove(f + i + 1, f + i, (n - i) * sizeof(*f));
	f[i] = new;
	return n + 1;
}

static unsigned int scan(const struct dune_backtrace *b, dune_gva_t rsp,
			 struct dune_frame *f, unsigned int n,
			 unsigned int max)
{
	dune_gva_t slot = rsp & ~7ul, word;
	unsigned int i;

	for (i = 0; i < SCAN_WORDS; i++, slot += 8) {
		if (b->read(b->ctx, &word, slot, sizeof(word)))
			break;
		if (b->is_code(b->ctx, word) && !in_chain(f, n, slot) &&
		    after_call(b, word))
			n = insert(f, n, max, (struct dune_frame){
					   word, slot, false });
	}
	return n;
}

unsigned int dune_backtrace(const struct dune_backtrace *b, dune_gva_t rip,
			    dune_gva_t rsp, dune_gva_t rbp,
			    struct dune_frame frame[DUNE_FRAMES])
{
	unsigned int n;

	frame[0] = (struct dune_frame){ rip, 0, true };
	n = follow_chain(b, rsp, rbp, frame + 1, DUNE_FRAMES - 1);
	n = scan(b, rsp, frame + 1, n, DUNE_FRAMES - 1);
	return n + 1;
}
