/* The decoder of privileged instructions (SDM vol. 2, chapter 2 and app. A). */
#include <string.h>
#include "libdune/decode.h"

/* What comes after the opcode, and what of it must match. */
enum form {
	PLAIN,		/* nothing */
	IMM8,
	IMM16,
	RM,		/* ModRM, any */
	RM_REG,		/* ModRM, `match` in reg */
	RM_REG_MEM,	/* the same, and a memory operand */
	RM_BYTE,	/* ModRM is `match` */
	RM_CR,		/* ModRM, its mod ignored: always registers */
};

/* Which of 66, F2, F3 must be there. */
enum prefix { ANY, NONE, P66, PF3 };

#define MAP_0F		0x0f00
#define MAP_0F38	0x3800

static const struct row {
	uint16_t code;		/* map | opcode */
	uint8_t form, match, prefix, op;
} table[] = {
	{ 0x8e, RM, 0, ANY, DUNE_OP_MOV_SREG },
	{ 0xca, IMM16, 0, ANY, DUNE_OP_LRET },
	{ 0xcb, PLAIN, 0, ANY, DUNE_OP_LRET },
	{ 0xcd, IMM8, 0, ANY, DUNE_OP_INT },
	{ 0xcf, PLAIN, 0, ANY, DUNE_OP_IRET },
	{ 0xf4, PLAIN, 0, ANY, DUNE_OP_HLT },
	{ 0xfa, PLAIN, 0, ANY, DUNE_OP_CLI },
	{ 0xfb, PLAIN, 0, ANY, DUNE_OP_STI },
	{ MAP_0F | 0x00, RM_REG, 0, ANY, DUNE_OP_SLDT },
	{ MAP_0F | 0x00, RM_REG, 1, ANY, DUNE_OP_STR },
	{ MAP_0F | 0x00, RM_REG, 2, ANY, DUNE_OP_LLDT },
	{ MAP_0F | 0x00, RM_REG, 3, ANY, DUNE_OP_LTR },
	{ MAP_0F | 0x01, RM_REG_MEM, 0, ANY, DUNE_OP_SGDT },
	{ MAP_0F | 0x01, RM_REG_MEM, 1, ANY, DUNE_OP_SIDT },
	{ MAP_0F | 0x01, RM_REG_MEM, 2, ANY, DUNE_OP_LGDT },
	{ MAP_0F | 0x01, RM_REG_MEM, 3, ANY, DUNE_OP_LIDT },
	{ MAP_0F | 0x01, RM_REG, 4, ANY, DUNE_OP_SMSW },
	{ MAP_0F | 0x01, RM_REG, 6, ANY, DUNE_OP_LMSW },
	{ MAP_0F | 0x01, RM_REG_MEM, 7, ANY, DUNE_OP_INVLPG },
	{ MAP_0F | 0x01, RM_BYTE, 0xc8, NONE, DUNE_OP_MONITOR },
	{ MAP_0F | 0x01, RM_BYTE, 0xc9, NONE, DUNE_OP_MONITOR },
	{ MAP_0F | 0x01, RM_BYTE, 0xca, NONE, DUNE_OP_CLAC },
	{ MAP_0F | 0x01, RM_BYTE, 0xcb, NONE, DUNE_OP_CLAC },
	{ MAP_0F | 0x01, RM_BYTE, 0xd1, NONE, DUNE_OP_XSETBV },
	{ MAP_0F | 0x01, RM_BYTE, 0xf8, NONE, DUNE_OP_SWAPGS },
	{ MAP_0F | 0x01, RM_BYTE, 0xf9, NONE, DUNE_OP_RDTSCP },
	{ MAP_0F | 0x06, PLAIN, 0, ANY, DUNE_OP_CLTS },
	{ MAP_0F | 0x07, PLAIN, 0, ANY, DUNE_OP_SYSRET },
	{ MAP_0F | 0x08, PLAIN, 0, ANY, DUNE_OP_WBINVD },
	{ MAP_0F | 0x09, PLAIN, 0, ANY, DUNE_OP_WBINVD },
	{ MAP_0F | 0x20, RM_CR, 0, ANY, DUNE_OP_RD_CR },
	{ MAP_0F | 0x21, RM_CR, 0, ANY, DUNE_OP_RD_DR },
	{ MAP_0F | 0x22, RM_CR, 0, ANY, DUNE_OP_WR_CR },
	{ MAP_0F | 0x23, RM_CR, 0, ANY, DUNE_OP_WR_DR },
	{ MAP_0F | 0x30, PLAIN, 0, ANY, DUNE_OP_WRMSR },
	{ MAP_0F | 0x31, PLAIN, 0, ANY, DUNE_OP_RDTSC },
	{ MAP_0F | 0x32, PLAIN, 0, ANY, DUNE_OP_RDMSR },
	{ MAP_0F | 0x33, PLAIN, 0, ANY, DUNE_OP_RDPMC },
	{ MAP_0F | 0xae, RM_REG, 0, PF3, DUNE_OP_RD_FSGS },
	{ MAP_0F | 0xae, RM_REG, 1, PF3, DUNE_OP_RD_FSGS },
	{ MAP_0F | 0xae, RM_REG, 2, PF3, DUNE_OP_WR_FSGS },
	{ MAP_0F | 0xae, RM_REG, 3, PF3, DUNE_OP_WR_FSGS },
	{ MAP_0F38 | 0x82, RM_REG_MEM, 0xff, P66, DUNE_OP_INVPCID },
};

/* The bytes, and how far they have been read. */
struct cursor {
	const uint8_t *p, *end;
	bool over;
};

static uint8_t next(struct cursor *c)
{
	if (c->p == c->end) {
		c->over = true;
		return 0;
	}
	return *c->p++;
}

static uint32_t next_le(struct cursor *c, unsigned int bytes)
{
	uint32_t v = 0;
	unsigned int i;

	for (i = 0; i < bytes; i++)
		v |= (uint32_t)next(c) << 8 * i;
	return v;
}

struct prefixes {
	uint8_t rex, rep;
	bool size16;
};

/* Returns the first byte that is no prefix. */
static uint8_t prefixes(struct dune_insn *in, struct cursor *c,
			struct prefixes *pfx)
{
	uint8_t b;

	memset(pfx, 0, sizeof(*pfx));
	for (;; pfx->rex = 0) {
		b = next(c);
		/* a REX prefix counts directly before the opcode only */
		while ((b & 0xf0) == 0x40 && !c->over) {
			pfx->rex = b;
			b = next(c);
		}
		switch (b) {
		case 0x26: case 0x2e: case 0x36: case 0x3e:
			in->seg = 0;	/* ignored in 64-bit mode */
			break;
		case 0x64:
			in->seg = DUNE_SEG_FS;
			break;
		case 0x65:
			in->seg = DUNE_SEG_GS;
			break;
		case 0x66:
			pfx->size16 = true;
			break;
		case 0x67:
			in->addr32 = true;
			break;
		case 0xf0:
			in->lock = true;
			break;
		case 0xf2: case 0xf3:
			pfx->rep = b;
			break;
		default:
			return b;
		}
		if (c->over)
			return 0;
	}
}

static bool prefix_fits(const struct prefixes *pfx, uint8_t want)
{
	switch (want) {
	case NONE:
		return !pfx->rep && !pfx->size16;
	case P66:
		return !pfx->rep && pfx->size16;
	case PF3:
		return pfx->rep == 0xf3;
	}
	return true;
}

/* modrm: valid only if the opcode has one; the forms say so. */
static bool row_fits(const struct row *r, uint16_t code, uint8_t modrm,
		     const struct prefixes *pfx)
{
	if (r->code != code || !prefix_fits(pfx, r->prefix))
		return false;
	switch (r->form) {
	case RM_REG_MEM:
		return modrm < 0xc0 &&
		       (r->match == 0xff || (modrm >> 3 & 7) == r->match);
	case RM_REG:
		return (modrm >> 3 & 7) == r->match;
	case RM_BYTE:
		return modrm == r->match;
	}
	return true;
}

static void memory_operand(struct dune_insn *in, struct cursor *c,
			   uint8_t modrm, uint8_t rex)
{
	uint8_t mod = modrm >> 6, rm = modrm & 7, sib;
	unsigned int disp = mod == 1 ? 1 : mod == 2 ? 4 : 0;

	in->mem = true;
	in->base = rm | (rex & 1) << 3;
	in->index = DUNE_NO_REG;
	in->scale = 1;
	if (rm == 4) {
		sib = next(c);
		in->scale = 1 << (sib >> 6);
		in->index = (sib >> 3 & 7) | (rex & 2) << 2;
		if (in->index == 4)
			in->index = DUNE_NO_REG;
		in->base = (sib & 7) | (rex & 1) << 3;
		if ((sib & 7) == 5 && mod == 0) {
			in->base = DUNE_NO_REG;
			disp = 4;
		}
	} else if (rm == 5 && mod == 0) {
		in->base = DUNE_RIP;
		disp = 4;
	}
	in->disp = next_le(c, disp);
	if (disp == 1)
		in->disp = (int8_t)in->disp;
}

bool dune_decode(struct dune_insn *in, const uint8_t *bytes, size_t n)
{
	size_t most = n < DUNE_INSN_MAX ? n : DUNE_INSN_MAX;
	struct cursor c = { bytes, bytes + most, false };
	const struct row *r, *end = table + sizeof(table) / sizeof(table[0]);
	struct prefixes pfx;
	uint16_t code;
	uint8_t modrm;

	memset(in, 0, sizeof(*in));
	code = prefixes(in, &c, &pfx);
	if (code == 0x0f) {
		code = MAP_0F | next(&c);
		if (code == (MAP_0F | 0x38))
			code = MAP_0F38 | next(&c);
	}
	modrm = c.p < c.end ? *c.p : 0;
	for (r = table; r < end && !row_fits(r, code, modrm, &pfx); r++)
		;
	if (r == end || c.over)
		return false;
	in->op = r->op;
	in->size = pfx.rex & 8 ? 8 : pfx.size16 ? 2 : 4;
	if (r->form >= RM) {
		modrm = next(&c);
		in->ext = modrm >> 3 & 7;
		in->reg = in->ext | (pfx.rex & 4) << 1;
		in->rm = (modrm & 7) | (pfx.rex & 1) << 3;
		if (modrm < 0xc0 && r->form != RM_CR)
			memory_operand(in, &c, modrm, pfx.rex);
	} else if (r->form != PLAIN) {
		in->imm = next_le(&c, r->form == IMM8 ? 1 : 2);
	}
	in->len = c.p - bytes;
	return !c.over;
}
