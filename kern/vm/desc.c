/* Descriptors that every guest of ours has. */
#include "kern/vm/desc.h"

#include <stddef.h>
#include <string.h>
#include "kern/vm/ring0.h"

#define GATE_INTERRUPT	0x8e		/* present, 64-bit interrupt gate */
#define GATE_DPL3	0x60

#define CODE64		0x00af9a000000fffful
#define DATA		0x00cf92000000fffful
#define ACCESSED	(1ul << 40)
#define DPL3		(3ul << 45)
/* Of no use but for its limit: lsl. */
#define CPUNODE		0x0040f50000000000ul
#define TSS64		(0x89ul << 40)

struct dune_gate dune_desc_gate(dune_gva_t to, bool user)
{
	return (struct dune_gate) {
		.offset0 = to, .offset1 = to >> 16, .offset2 = to >> 32,
		.selector = DUNE_SEL_KERN_CS, .ist = 1,
		.type = GATE_INTERRUPT | (user ? GATE_DPL3 : 0),
	};
}

void dune_desc_gdt(uint64_t *gdt, dune_gva_t tss)
{
	gdt[DUNE_SEL_KERN_CS / 8] = CODE64 | ACCESSED;
	gdt[DUNE_SEL_KERN_SS / 8] = DATA | ACCESSED;
	gdt[DUNE_SEL_USER_SS / 8] = DATA | ACCESSED | DPL3;
	gdt[DUNE_SEL_USER_CS / 8] = CODE64 | ACCESSED | DPL3;
	gdt[DUNE_SEL_TSS / 8] = (sizeof(struct dune_tss) - 1) |
				(tss & 0xffffff) << 16 | TSS64 |
				(tss >> 24 & 0xff) << 56;
	gdt[DUNE_SEL_TSS / 8 + 1] = tss >> 32;
	gdt[DUNE_SEL_CPUNODE / 8] = CPUNODE;
}

void dune_desc_tss(struct dune_tss *tss, dune_gva_t stack_top)
{
	memset(tss, 0, sizeof(*tss));
	tss->ist[0] = tss->rsp[0] = stack_top;
	tss->iomap_base = offsetof(struct dune_tss, iomap);
	memset(tss->iomap, 0xff, sizeof(tss->iomap));
}
