/*
 * Descriptors as the CPU reads them: gates, the GDT, the task state segment
 * (SDM vol. 3, chapters 3, 6 and 7). The same in every guest of ours.
 */
#ifndef DUNE_KERN_DESC_H
#define DUNE_KERN_DESC_H

#include <stdbool.h>
#include <stdint.h>
#include "kern/types.h"

struct dune_gate {
	uint16_t offset0, selector;
	uint8_t ist, type;
	uint16_t offset1;
	uint32_t offset2, reserved;
};

/* 64-bit, with the start of an I/O permission map */
struct dune_tss {
	uint32_t reserved0;
	uint64_t rsp[3], reserved1, ist[7], reserved2;
	uint16_t reserved3, iomap_base;
	uint8_t iomap[4];		/* ports 0x00-0x17, then all ones */
} __attribute__((packed));

/* An interrupt gate to ring 0 on the first IST stack; user: for ring 3's int */
struct dune_gate dune_desc_gate(dune_gva_t to, bool user);
/* Flat segments where the selectors of ring0.h are, and the TSS's. */
void dune_desc_gdt(uint64_t *gdt, dune_gva_t tss);
/* Every trap on the stack that ends at stack_top; all ports shut. */
void dune_desc_tss(struct dune_tss *tss, dune_gva_t stack_top);

#endif
