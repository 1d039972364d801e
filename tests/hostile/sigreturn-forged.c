/*
 * Frames that no kernel wrote: kernel selectors and addresses, privileged
 * flags, masks that block SIGKILL, wild or malformed floating point state. The
 * program may die of it or go on in ring 3; nothing else.
 */
#include "hostile.h"

struct frame {
	ucontext_t uc;
	char fp[8192] __attribute__((aligned(64)));
} __attribute__((aligned(64)));

static struct frame good, f;
static char stack[65536] __attribute__((aligned(64)));

static void landed(void)
{
	unsigned long cs, ss, fl;

	__asm__ volatile("mov %%cs, %0\n\tmov %%ss, %1\n\tpushf\n\tpop %2" :
			 "=r"(cs), "=r"(ss), "=r"(fl));
	if ((cs & 3) != 3 || (ss & 3) != 3)
		ESCAPED("cs %#lx ss %#lx", cs, ss);
	if (fl & 0x3000)
		ESCAPED("flags %#lx", fl);
	_exit(0);
}

static void grab(int sig, siginfo_t *si, void *p)
{
	ucontext_t *uc = p;
	const char *fp = (const char *)uc->uc_mcontext.fpregs;
	uint32_t size;

	(void)sig, (void)si;
	memset(&good, 0, sizeof(good));
	good.uc = *uc;
	/* extended_size: behind it the stack may end */
	memcpy(&size, fp + 464 + 4, sizeof(size));
	if (!size || size > sizeof(good.fp))
		_exit(3);
	memcpy(good.fp, fp, size);
	good.uc.uc_mcontext.gregs[REG_RIP] = (long)landed;
	good.uc.uc_mcontext.gregs[REG_RSP] = (long)stack + 60000 - 8;
}

static void go(void)
{
	__asm__ volatile("mov %0, %%rsp\n\tmov $15, %%eax\n\tsyscall" : :
			 "r"(&f.uc) : "memory");
	__builtin_unreachable();
}

#define G(reg, value) f.uc.uc_mcontext.gregs[reg] = (long)(value)
#define FP(value) f.uc.uc_mcontext.fpregs = (void *)(value)
#define FP32(off) (*(uint32_t *)(f.fp + (off)))
#define FP64(off) (*(uint64_t *)(f.fp + (off)))

/* 0: untouched. Returns false when there are no more. */
static bool forge(int n)
{
	static const long selectors[] = { 0, 0x08, 0x10, 0x18, 0x23, 0x33, 0x2b,
					  0x40, 0xffff };

	f = good;
	FP(f.fp);
	if (n < 9) {
		G(REG_CSGSFS, selectors[n] | 0x2bl << 48);
		return true;
	}
	if (n < 18) {
		G(REG_CSGSFS, 0x33 | selectors[n - 9] << 48);
		return true;
	}
	if (n < 18 + (int)OUTSIDE) {
		G(REG_RIP, outside[n - 18]);
		return true;
	}
	n -= 18 + OUTSIDE;
	if (n < (int)OUTSIDE) {
		FP(outside[n]);
		return true;
	}
	n -= OUTSIDE;
	switch (n) {
	case 0: break;
	case 1: G(REG_EFL, -1l & ~0x100); break;
	case 2: G(REG_EFL, 0x3002); break;
	case 3: G(REG_EFL, 0); break;
	case 4: G(REG_EFL, 0x20002 | 0x4000); break;	/* VM, NT */
	case 5: memset(&f.uc.uc_sigmask, -1, 8); break;
	case 6: FP(NULL); break;
	case 7: FP(f.fp + 1); break;
	case 8: FP(f.fp + 32); break;
	case 9: FP32(24) = -1; break;			/* mxcsr */
	case 10: FP64(512) = -1ul; break;		/* xstate_bv */
	case 11: FP64(520) = 1ul << 63 | 7; break;	/* compacted */
	case 12: FP64(528) = 1; break;			/* reserved */
	case 13: FP64(560) = -1ul; break;
	case 14: FP32(464 + 4) = -1; break;		/* extended_size */
	case 15: FP32(464 + 4) = 0; break;
	case 16: FP32(464 + 16) = -1; break;		/* xstate_size */
	case 17: FP64(464 + 8) = -1ul; break;		/* features */
	case 18: FP32(464) = 0; break;			/* no magic */
	case 19: memset(f.fp, -1, sizeof(f.fp)); break;
	case 20: memset(&f.uc.uc_stack, -1, sizeof(stack_t)); break;
	case 21: f.uc.uc_flags = -1ul; break;
	case 22: f.uc.uc_flags = 0; break;
	case 23: G(REG_RSP, 0xffff800000000000ul); break;
	case 24: memset(f.uc.uc_mcontext.gregs, -1, sizeof(gregset_t)); break;
	case 25: memset(&f, -1, sizeof(f)); break;
	case 26: memset(&f, 0, sizeof(f)); break;
	default: return false;
	}
	return true;
}

static int number;

static void child(void)
{
	forge(number);
	go();
}

static void wild_stack(void)
{
	__asm__ volatile("mov %0, %%rsp\n\tmov $15, %%eax\n\tsyscall" : :
			 "r"(outside[number]) : "memory");
	__builtin_unreachable();
}

int main(void)
{
	int alive = 0, died = 0, st;

	handle(SIGUSR1, grab, 0);
	raise(SIGUSR1);
	while (forge(number)) {
		st = guarded(child);
		if (WIFSIGNALED(st) && WTERMSIG(st) != SIGALRM &&
		    WTERMSIG(st) != SIGKILL)
			died++;
		else if (st == 0)
			alive++;
		else
			ESCAPED("frame %d: %s", number, how(st));
		number++;
	}
	if (!alive)
		ESCAPED("not even the true frame works");
	for (number = 0; number < (int)OUTSIDE; number++) {
		st = guarded(wild_stack);
		if (!WIFSIGNALED(st) || WTERMSIG(st) != SIGSEGV)
			ESCAPED("frame at %#lx: %s", outside[number], how(st));
	}
	contained("%d frames die, %d go on in ring 3", died, alive);
	return 0;
}
