/* System call sites: what may be rewritten, and into what (match.h). */
#include <string.h>

#include "kern/gate/match.h"

#define SYSCALL	2		/* bytes of it */
#define INT3	0xcc
#define RET	0xc3
#define JMP	0xe9

#define REACH	0x7ffff000l
#define ALIGN	16		/* what compilers align functions to */

/* Instructions that may move, in the forms with registers only. */
static const struct form {
	uint8_t opcode;
	bool modrm;
	uint8_t imm;
	uint8_t regs;		/* which values of ModRM.reg, a bit each */
} forms[] = {
	{ 0x3d, false, 4, 0xff },	/* cmp imm, %eax */
	{ 0x01, true, 0, 0xff },	/* add */
	{ 0x03, true, 0, 0xff },
	{ 0x09, true, 0, 0xff },	/* or */
	{ 0x21, true, 0, 0xff },	/* and */
	{ 0x29, true, 0, 0xff },	/* sub */
	{ 0x2b, true, 0, 0xff },
	{ 0x31, true, 0, 0xff },	/* xor */
	{ 0x33, true, 0, 0xff },
	{ 0x39, true, 0, 0xff },	/* cmp */
	{ 0x3b, true, 0, 0xff },
	{ 0x63, true, 0, 0xff },	/* movslq */
	{ 0x81, true, 4, 0xff },	/* add, or ... cmp with imm */
	{ 0x83, true, 1, 0xff },
	{ 0x85, true, 0, 0xff },	/* test */
	{ 0x89, true, 0, 0xff },	/* mov */
	{ 0x8b, true, 0, 0xff },
	{ 0xc7, true, 4, 1 },		/* mov imm */
	{ 0xf7, true, 0, 0x0c },	/* not, neg */
};

static bool is_register(const struct form *f, uint8_t modrm)
{
	return modrm >= 0xc0 && f->regs & 1u << (modrm >> 3 & 7);
}

/* The length of an instruction that may move; 0: it may not. */
static unsigned int movable(const uint8_t *p, size_t len)
{
	unsigned int rex = len && (*p & 0xf0) == 0x40, n = rex + 1;

	if (len < rex + 2)
		return 0;
	for (size_t i = 0; i < DUNE_ARRAY_SIZE(forms); i++) {
		const struct form *f = &forms[i];

		if (f->opcode != p[rex])
			continue;
		if (f->modrm && !is_register(f, p[n]))
			return 0;
		n += f->modrm + f->imm;
		return n <= len ? n : 0;
	}
	return 0;
}

/* The length of one of the assembler's fillers, 0: something else. */
static unsigned int filler(const uint8_t *p, size_t len)
{
	static const struct {
		uint8_t modrm, rest;
	} nops[] = {
		{ 0x00, 0 }, { 0x40, 1 }, { 0x44, 2 }, { 0x80, 4 }, { 0x84, 5 },
	};
	unsigned int n = 0;

	if (len && *p == INT3)
		return 1;
	while (n < len && p[n] == 0x66)
		n++;
	if (n < len && p[n] == 0x2e)
		n++;
	if (n < len && p[n] == 0x90)
		return n + 1;
	if (len - n < 3 || p[n] != 0x0f || p[n + 1] != 0x1f)
		return 0;
	for (size_t i = 0; i < DUNE_ARRAY_SIZE(nops); i++)
		if (nops[i].modrm == p[n + 2])
			return n + 3 + nops[i].rest;
	return 0;
}

/* Is all from p to where the next function may start filled, and room there? */
static bool padded(const uint8_t *p, size_t len, dune_gva_t at, size_t room)
{
	size_t gap = -at & (ALIGN - 1), n = 0, one;

	if (gap < room || gap > len)
		return false;
	while (n < gap) {
		one = filler(p + n, gap - n);
		if (!one)
			return false;
		n += one;
	}
	return n == gap;
}

unsigned int dune_site_match(const uint8_t *code, size_t len, dune_gva_t at)
{
	const uint8_t *next = code + SYSCALL;
	unsigned int n;

	if (len < DUNE_SITE_PATCH || code[0] != 0x0f || code[1] != 0x05)
		return 0;
	if (*next == RET)
		return padded(next + 1, len - SYSCALL - 1, at + SYSCALL + 1,
			      DUNE_SITE_PATCH - SYSCALL - 1) ? 1 : 0;
	n = movable(next, len - SYSCALL);
	return n >= DUNE_SITE_PATCH - SYSCALL ? n : 0;
}

bool dune_site_reaches(dune_gva_t at, dune_gva_t trampoline)
{
	int64_t rel = trampoline - (at + DUNE_SITE_PATCH);

	/* and back; the jump's third byte */
	return rel > -REACH && rel < REACH && (rel >> 8 & 0xff) == INT3;
}

static uint8_t *put(uint8_t *p, const void *bytes, size_t n)
{
	memcpy(p, bytes, n);
	return p + n;
}

/* A jump at p, which will be at `from`. */
static uint8_t *put_jmp(uint8_t *p, dune_gva_t from, dune_gva_t to)
{
	uint32_t rel = to - (from + 5);

	*p++ = JMP;
	return put(p, &rel, sizeof(rel));
}

void dune_site_patch(uint8_t patch[DUNE_SITE_PATCH], dune_gva_t at,
		     dune_gva_t trampoline)
{
	put_jmp(patch, at, trampoline);
}

void dune_site_trampoline(uint8_t out[DUNE_TRAMPOLINE], dune_gva_t trampoline,
			  dune_gva_t at, const uint8_t *code,
			  unsigned int moved, uint64_t entry)
{
	static const uint8_t lea[] = { 0x48, 0x8d, 0x0d };
	static const uint8_t movabs[] = { 0x49, 0xbb };
	static const uint8_t jmp_r11[] = { 0x41, 0xff, 0xe3 };
	const uint32_t rel = DUNE_SITE_BACK - sizeof(lea) - sizeof(rel);
	uint8_t *p = out;

	memset(out, INT3, DUNE_TRAMPOLINE);
	p = put(p, lea, sizeof(lea));
	p = put(p, &rel, sizeof(rel));
	p = put(p, movabs, sizeof(movabs));
	p = put(p, &entry, sizeof(entry));
	p = put(p, jmp_r11, sizeof(jmp_r11));
	p = put(p, code + SYSCALL, moved);
	put_jmp(p, trampoline + (p - out), at + SYSCALL + moved);
}

dune_gva_t dune_site_original(dune_gva_t at, unsigned int moved,
			      unsigned int offset)
{
	if (offset < DUNE_SITE_BACK)
		return at;
	if (offset == DUNE_SITE_BACK)
		return at + SYSCALL;
	return at + SYSCALL + moved;
}
