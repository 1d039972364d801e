/*
 * The trap frame between the stubs, the guest side and the host side: the
 * public struct dune_tf, and KVM's registers. Pure.
 */
#ifndef DUNE_KERN_FRAME_H
#define DUNE_KERN_FRAME_H

#include <linux/kvm.h>
#include <stddef.h>
#include <string.h>
#include "dune/trap.h"
#include "kern/self/percpu.h"

#define DUNE_TF_IRET	128	/* where the CPU's part begins, see guest.S */

_Static_assert(offsetof(struct dune_tf, rip) == DUNE_TF_IRET, "guest.S");
_Static_assert(sizeof(struct dune_tf) == 168, "guest.S");

static inline void dune_tf_load(const struct dune_tf *tf, struct kvm_regs *u)
{
	u->rdi = tf->rdi;
	u->rsi = tf->rsi;
	u->rdx = tf->rdx;
	u->rcx = tf->rcx;
	u->r8 = tf->r8;
	u->r9 = tf->r9;
	u->r10 = tf->r10;
	u->r11 = tf->r11;
	u->rbx = tf->rbx;
	u->rbp = tf->rbp;
	u->r12 = tf->r12;
	u->r13 = tf->r13;
	u->r14 = tf->r14;
	u->r15 = tf->r15;
	u->rax = tf->rax;
	u->rip = tf->rip;
	u->rflags = tf->rflags;
	u->rsp = tf->rsp;
}

/* A frame of ring 3, as the CPU itself would have pushed it. */
static inline void dune_tf_save(struct dune_tf *tf, const struct kvm_regs *u)
{
	memset(tf, 0, sizeof(*tf));
	tf->rdi = u->rdi;
	tf->rsi = u->rsi;
	tf->rdx = u->rdx;
	tf->rcx = u->rcx;
	tf->r8 = u->r8;
	tf->r9 = u->r9;
	tf->r10 = u->r10;
	tf->r11 = u->r11;
	tf->rbx = u->rbx;
	tf->rbp = u->rbp;
	tf->r12 = u->r12;
	tf->r13 = u->r13;
	tf->r14 = u->r14;
	tf->r15 = u->r15;
	tf->rax = u->rax;
	tf->rip = u->rip;
	tf->cs = DUNE_SELF_USER_CS;
	tf->rflags = u->rflags;
	tf->rsp = u->rsp;
	tf->ss = DUNE_SELF_USER_SS;
}

#endif
