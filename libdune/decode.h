/*
 * The decoder of privileged instructions, for emulate.c. Pure: 64-bit mode,
 * bytes in, a struct out. It knows only the instructions of its table.
 */
#ifndef DUNE_DECODE_H
#define DUNE_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DUNE_INSN_MAX	15	/* bytes; longer ones raise #GP */

enum dune_op {
	DUNE_OP_CLI, DUNE_OP_STI, DUNE_OP_HLT, DUNE_OP_INT, DUNE_OP_IRET,
	DUNE_OP_LRET, DUNE_OP_MOV_SREG,
	DUNE_OP_SLDT, DUNE_OP_STR, DUNE_OP_LLDT, DUNE_OP_LTR,
	DUNE_OP_SGDT, DUNE_OP_SIDT, DUNE_OP_LGDT, DUNE_OP_LIDT,
	DUNE_OP_SMSW, DUNE_OP_LMSW, DUNE_OP_INVLPG, DUNE_OP_MONITOR,
	DUNE_OP_CLAC, DUNE_OP_XSETBV, DUNE_OP_SWAPGS, DUNE_OP_RDTSC,
	DUNE_OP_RDTSCP, DUNE_OP_CLTS, DUNE_OP_SYSRET, DUNE_OP_WBINVD,
	DUNE_OP_RD_CR, DUNE_OP_RD_DR, DUNE_OP_WR_CR, DUNE_OP_WR_DR,
	DUNE_OP_WRMSR, DUNE_OP_RDMSR, DUNE_OP_RDPMC, DUNE_OP_INVPCID,
	DUNE_OP_RD_FSGS, DUNE_OP_WR_FSGS,
	DUNE_OPS,
};

#define DUNE_NO_REG	0xff
#define DUNE_RIP	0xfe	/* as base */
#define DUNE_SEG_FS	4	/* sreg numbers, as in mov Sreg */
#define DUNE_SEG_GS	5

struct dune_insn {
	enum dune_op op;
	uint8_t len;		/* 1 - DUNE_INSN_MAX */
	uint8_t size;		/* of operands: 2, 4 or 8 */
	bool lock;		/* a lock prefix: none of these may have it */
	bool mem;		/* the ModRM operand is memory, not `rm` */
	uint8_t ext;		/* ModRM.reg, 0-7: opcode extension, sreg */
	uint8_t reg, rm;	/* 0-15; rm counts if !mem */
	/* the memory operand */
	uint8_t base, index;	/* 0-15, DUNE_NO_REG, DUNE_RIP */
	uint8_t scale;		/* 1, 2, 4, 8 */
	uint8_t seg;		/* DUNE_SEG_FS, DUNE_SEG_GS, or 0 */
	bool addr32;		/* the address is cut to 32 bits */
	int32_t disp;
	uint16_t imm;
};

/*
 * Decodes the instruction at the start of `bytes`, of which n are there.
 * Returns true, or false: not one of the table's, longer than
 * DUNE_INSN_MAX, or longer than n; *in is then undefined.
 */
bool dune_decode(struct dune_insn *in, const uint8_t *bytes, size_t n);

#endif
