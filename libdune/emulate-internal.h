/* Between the files of the emulation: one instruction being done. */
#ifndef DUNE_EMULATE_INTERNAL_H
#define DUNE_EMULATE_INTERNAL_H

#include "kern/self/percpu.h"
#include "kern/types.h"
#include "libdune/decode.h"
#include "libdune/emulate.h"

#define DUNE_MSR_FS_BASE	0xc0000100
#define DUNE_MSR_GS_BASE	0xc0000101

#define RFL_FIXED	(1ul << 1)
#define RFL_TF		(1ul << 8)
#define RFL_IF		(1ul << 9)
#define RFL_NT		(1ul << 14)
#define RFL_RF		(1ul << 16)
#define RFL_VM		(1ul << 17)
/* CF PF AF ZF SF TF DF OF NT RF AC ID: what iret may load in a real ring 3 */
#define RFL_LOADABLE	0x254dd5ul

#define DR6_BD		(1ul << 13)
#define DR6_BS		(1ul << 14)

struct dune_emul {
	struct dune_vcpu_state *v;
	struct dune_tf *tf;
	const struct dune_emul_ops *ops;
	struct dune_insn in;
	uint64_t next;		/* rip afterwards */
	uint32_t error;		/* of the trap being raised */
	bool user;		/* virtual ring 3 */
};

/*
 * Operations return 0 (rip goes to `next`), or dune_emul_raise(): then nothing
 * was changed that the CPU would not have changed.
 */
static inline int dune_emul_raise(struct dune_emul *e, unsigned int vector,
				  uint32_t error)
{
	e->error = error;
	return DUNE_EMUL_TRAP | vector;
}

static inline int dune_emul_gp(struct dune_emul *e)
{
	return dune_emul_raise(e, DUNE_VEC_GP, 0);
}

static inline int dune_emul_ud(struct dune_emul *e)
{
	return dune_emul_raise(e, DUNE_VEC_UD, 0);
}

/* ---- emulate.c ---- */

/* Register n, 0-15, of the frame. */
uint64_t *dune_emul_gpr(struct dune_tf *tf, unsigned int n);
/* Memory at a linear address; stack: non-canonical is #SS, not #GP. */
int dune_emul_load(struct dune_emul *e, uint64_t va, void *buf, size_t len,
		   bool stack);
int dune_emul_store(struct dune_emul *e, uint64_t va, const void *buf,
		    size_t len, bool stack);
/* The ModRM operand: its linear address, its memory, or r/m16. */
uint64_t dune_emul_address(const struct dune_emul *e);
int dune_emul_load_rm(struct dune_emul *e, void *buf, size_t len);
int dune_emul_load_rm16(struct dune_emul *e, uint16_t *value);
int dune_emul_store_rm(struct dune_emul *e, const void *buf, size_t len);

/* ---- emulate-cr.c ---- */
int dune_emul_read_cr(struct dune_emul *e);
int dune_emul_write_cr(struct dune_emul *e);
int dune_emul_read_dr(struct dune_emul *e);
int dune_emul_write_dr(struct dune_emul *e);
int dune_emul_lmsw(struct dune_emul *e);
int dune_emul_invpcid(struct dune_emul *e);
int dune_emul_xsetbv(struct dune_emul *e);

/* ---- emulate-msr.c ---- */
int dune_emul_rdmsr(struct dune_emul *e);
int dune_emul_wrmsr(struct dune_emul *e);

/* ---- emulate-seg.c ---- */

struct dune_emul_desc {
	uint64_t base;
	uint32_t limit;
	uint8_t type;		/* with S: bit 4 */
	uint8_t dpl;
	bool present, l, db;
};

#define DESC_S		0x10
#define DESC_CODE	0x18
#define DESC_CONFORMING	0x04
#define DESC_WRITABLE	0x02	/* code: readable */

/*
 * The descriptor behind a selector that is not null; wide: of 16 bytes (TSS,
 * LDT). `vector` is what a selector outside the tables raises.
 */
int dune_emul_desc(struct dune_emul *e, uint16_t sel, bool wide,
		   unsigned int vector, struct dune_emul_desc *d);
/* Is it a selector of real ring 0, or of ring 3, as libdune made them? */
bool dune_emul_is_real(uint16_t sel);
bool dune_emul_is_vuser(uint16_t sel);
/* Notes the selector a frame of that level is to show. */
void dune_emul_remember(uint16_t *shown, uint16_t sel, bool user);
/* May ss be sel in ring 0, ring 3? */
int dune_emul_check_ss(struct dune_emul *e, uint16_t sel, bool user);
int dune_emul_table_load(struct dune_emul *e);
int dune_emul_table_store(struct dune_emul *e);
int dune_emul_lldt(struct dune_emul *e);
int dune_emul_ltr(struct dune_emul *e);
int dune_emul_mov_sreg(struct dune_emul *e);

/* ---- emulate-flow.c ---- */
int dune_emul_iret(struct dune_emul *e);
int dune_emul_lret(struct dune_emul *e);
int dune_emul_sysret(struct dune_emul *e);

/* ---- emulate-gate.c ---- */
/* As the others, or -EFAULT: a triple fault. */
int dune_emul_int(struct dune_emul *e);
/* The frame is one of ring 0 or 3 from now on. */
void dune_emul_level(struct dune_emul *e, bool user);

#endif
