/*
 * Code that is not trusted, in ring 3 of the same process: it sees the pages
 * it was given, and ring 0 decides about each of its system calls.
 */
#include <dune.h>
#include <dune/pgtable.h>
#include <dune/ring3.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE		4096ul
#define ROOM		(4 * PAGE)	/* code, data, stack */
#define ACCESS_LEN	2		/* bytes of `mov (%rax), %eax` */

struct shared {
	char text[64];
	const int *secret;
	long write_said, open_said, secret_said;
};

static const int secret = 42;
static char *room;
static unsigned int passed, refused, kept_out;

/* ---- the untrusted part: all it has is what its argument points to ---- */

#define UNTRUSTED __attribute__((section("untrusted"), noinline, used))
extern const char __start_untrusted[], __stop_untrusted[];

UNTRUSTED static long call(long nr, long a, long b, long c)
{
	__asm__ volatile("syscall" : "+a"(nr) : "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return nr;
}

UNTRUSTED static void plugin(struct shared *s)
{
	long stolen = (long)s->secret;

	s->write_said = call(SYS_write, 1, (long)s->text, 18);
	s->open_said = call(SYS_open, (long)s->text, 0, 0);
	__asm__ volatile("mov (%%rax), %%eax" : "+a"(stolen));
	s->secret_said = stolen;
	call(SYS_exit, 7, 0, 0);
}

/* ---- ring 0 ---- */

static bool inside(uint64_t addr, uint64_t len)
{
	return addr - (uint64_t)room <= ROOM && len <= ROOM &&
	       addr - (uint64_t)room <= ROOM - len;
}

static enum dune_trap_action on_call(struct dune_tf *tf, unsigned int vector,
				     uint64_t addr, void *arg)
{
	(void)vector, (void)addr, (void)arg;
	if (tf->rax == SYS_exit)
		dune_ret_from_user(ARG0(tf));
	if (tf->rax == SYS_write && ARG0(tf) == STDOUT_FILENO &&
	    inside(ARG1(tf), ARG2(tf))) {
		passed++;
		dune_passthrough_syscall(tf);
	} else {
		refused++;
		tf->rax = -EACCES;
	}
	return DUNE_TRAP_RESUME;
}

static enum dune_trap_action on_fault(struct dune_tf *tf, unsigned int vector,
				      uint64_t addr, void *arg)
{
	(void)vector, (void)arg;
	if (!(tf->cs & 3) || addr != (uint64_t)&secret)
		return DUNE_TRAP_PASS;
	kept_out++;
	tf->rax = 0;
	tf->rip += ACCESS_LEN;
	return DUNE_TRAP_RESUME;
}

static int prepare(struct shared **s, struct dune_tf *tf)
{
	room = mmap(NULL, ROOM, PROT_READ | PROT_WRITE | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (room == MAP_FAILED)
		return -errno;
	memcpy(room, __start_untrusted, __stop_untrusted - __start_untrusted);
	*s = (struct shared *)(room + PAGE);
	strcpy((*s)->text, "hello from ring 3\n");
	(*s)->secret = &secret;
	*tf = (struct dune_tf) {
		.rip = (uint64_t)room + ((char *)plugin - __start_untrusted),
		.rdi = (uint64_t)*s,
		/* as if called */
		.rsp = (uint64_t)room + ROOM - 8,
	};
	return dune_vm_mprotect(pgroot, room, PAGE, PERM_R | PERM_X | PERM_U) ?:
	       dune_vm_mprotect(pgroot, room + PAGE, ROOM - PAGE,
				PERM_R | PERM_W | PERM_U);
}

int main(void)
{
	struct dune_tf tf;
	struct shared *s = NULL;
	int status;

	if (dune_enter() || prepare(&s, &tf)) {
		fprintf(stderr, "compartment: %s\n", dune_errmsg());
		return 1;
	}
	dune_trap_set(DUNE_VEC_CALL, 0, on_call, NULL);
	dune_trap_set(DUNE_VEC_PF, 0, on_fault, NULL);
	fflush(stdout);
	status = dune_jump_to_user(&tf);
	printf("exit status %d; write %ld, open %ld, secret %ld\n", status,
	       s->write_said, s->open_said, s->secret_said);
	printf("calls passed: %u, refused: %u; faults: %u\n", passed, refused,
	       kept_out);
	return status != 7 || s->write_said != 18 ||
	       s->open_said != -EACCES || s->secret_said != 0 ||
	       passed != 1 || refused != 1 || kept_out != 1;
}
