/*
 * Interrupts between threads in Dune mode: into code of ring 0 and ring 3,
 * into a blocking call, into handlers; one at a time; and what is not one.
 */
#include "test.h"

#include <libdune/cpu-x86.h>
#include <libdune/dune.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#define V	0x40

static volatile uint32_t other_id = ~0u;
static volatile int stop, count, nested, order[4], ordered;
static volatile uint64_t seen_rip, seen_stack;
static int fds[2];

static void on_ipi(struct dune_tf *tf)
{
	seen_rip = tf->rip;
	seen_stack = (uint64_t)__builtin_frame_address(0);
	CHECK((tf->cs & 3) == 0);
	count++;
}

static void on_stop(struct dune_tf *tf)
{
	CHECK(dune_apic_id() == other_id);
	tf->rax = 1;		/* ends the loop below */
}

/* Until the handler changes a register of it; nothing else may change. */
static void *spin(void *arg)
{
	uint64_t rax = 0, r15 = 15, rbx = 3;
	double x = 1.5;

	CHECK(dune_enter() == 0);
	other_id = dune_apic_id();
	__asm__ volatile("movq %%xmm7, %%rcx\n\t"
			 "1: pause; movq %%rax, -8(%%rsp)\n\t"
			 "cmpq $0, -8(%%rsp); je 1b"	/* the red zone */
			 : "+a"(rax), "+b"(rbx) : : "rcx", "memory", "cc");
	CHECK(rax == 1 && rbx == 3 && r15 == 15 && x == 1.5);
	return arg;
}

static void *blocked(void *arg)
{
	char c = 0;

	other_id = dune_apic_id();
	CHECK(read(fds[0], &c, 1) == 1 && c == 'x');
	return arg;
}

static void wait_for_id(void)
{
	while (other_id == ~0u)
		usleep(100);
}

static void basics(void)
{
	uint32_t me = dune_apic_id();
	uint64_t sp = (uint64_t)__builtin_frame_address(0);
	pthread_t t;

	OK(dune_register_intr_handler(V, on_ipi));
	OK(dune_register_intr_handler(V + 1, on_stop));
	CHECK(dune_apic_send_ipi(3, me) == -EINVAL);
	CHECK(dune_apic_send_ipi(V, 12345) == -ESRCH);
	OK(dune_apic_send_ipi(V, me));
	CHECK(count == 1 && seen_rip);
	CHECK(seen_stack - (sp - 0x100000) > 0x200000);
	OK(dune_apic_send_ipi(V + 7, me));	/* nobody wants it */

	CHECK(!pthread_create(&t, NULL, spin, NULL));
	wait_for_id();
	CHECK(other_id != me);
	OK(dune_apic_send_ipi(V + 1, other_id));
	CHECK(!pthread_join(t, NULL));
	CHECK(dune_apic_send_ipi(V, other_id) == -ESRCH);
	say("threads\n");
}

static void calls(void)
{
	pthread_t t;

	other_id = ~0u;
	count = 0;
	CHECK(!pipe(fds) && !pthread_create(&t, NULL, blocked, NULL));
	wait_for_id();
	usleep(20000);			/* most likely it is blocked then */
	OK(dune_apic_send_ipi(V, other_id));
	while (!count)
		usleep(100);
	CHECK(write(fds[1], "x", 1) == 1);
	CHECK(!pthread_join(t, NULL));
	say("a blocking call\n");
}

/* ---- one at a time ---- */

static void on_first(struct dune_tf *tf)
{
	(void)tf;
	dune_apic_send_ipi(V + 3, dune_apic_id());
	dune_apic_send_ipi(V + 3, dune_apic_id());
	order[ordered++ & 3] = 1;
	if (nested)
		dune_apic_eoi();
	order[ordered++ & 3] = 2;
}

static void on_second(struct dune_tf *tf)
{
	(void)tf;
	order[ordered++ & 3] = 3;
}

static void serves_one(void)
{
	OK(dune_register_intr_handler(V + 2, on_first));
	OK(dune_register_intr_handler(V + 3, on_second));
	OK(dune_apic_send_ipi(V + 2, dune_apic_id()));
	CHECK(ordered == 3);
	CHECK(order[0] == 1 && order[1] == 2 && order[2] == 3);
	ordered = 0;
	nested = 1;
	OK(dune_apic_send_ipi(V + 2, dune_apic_id()));
	CHECK(ordered == 3);
	CHECK(order[0] == 1 && order[1] == 3 && order[2] == 2);
	say("one at a time\n");
}

/* ---- ring 3 ---- */

static void on_ring3(struct dune_tf *tf)
{
	CHECK((tf->cs & 3) == 3);
	if (++count < 3)
		dune_apic_send_ipi(V + 4, dune_apic_id());
	else
		dune_ret_from_user(77);
}

/* jmp to itself */
static void *ring3(void *arg)
{
	struct dune_tf tf = { .rip = (uint64_t)arg, .rsp = 0x1000 };

	other_id = dune_apic_id();
	CHECK(dune_jump_to_user(&tf) == 77);
	return NULL;
}

static void interrupts_ring3(void)
{
	unsigned char *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE |
				   PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
				   0);
	pthread_t t;

	code[0] = 0xeb;
	code[1] = 0xfe;
	OK(dune_vm_mprotect(pgroot, code, 4096, PERM_R | PERM_X | PERM_U));
	OK(dune_register_intr_handler(V + 4, on_ring3));
	other_id = ~0u;
	count = 0;
	CHECK(!pthread_create(&t, NULL, ring3, code));
	wait_for_id();
	usleep(20000);
	OK(dune_apic_send_ipi(V + 4, other_id));
	CHECK(!pthread_join(t, NULL));
	CHECK(count == 3);
	say("ring 3\n");
}

/* ---- many, and not from us ---- */

static volatile int sent[2], got[2];
static volatile uint32_t id[2];

static void on_mine(struct dune_tf *tf)
{
	(void)tf;
	got[dune_apic_id() == id[1]]++;
}

static void *sender(void *arg)
{
	int me = arg != NULL, n = times(300, 40);

	id[me] = dune_apic_id();
	__atomic_add_fetch(&stop, 1, __ATOMIC_SEQ_CST);
	while (stop < 2)
		sched_yield();
	while (sent[me] < n) {
		int r = dune_apic_send_ipi(V + 5, id[!me]);

		CHECK(r == 0 || r == -EAGAIN);
		sent[me] += !r;
	}
	__atomic_add_fetch(&stop, 1, __ATOMIC_SEQ_CST);
	while (stop < 4)
		sched_yield();
	return NULL;
}

static volatile int plain;

static void on_plain(int sig)
{
	plain += sig;
}

static void storm(void)
{
	pthread_t t;

	OK(dune_register_intr_handler(V + 5, on_mine));
	CHECK(!pthread_create(&t, NULL, sender, (void *)1));
	sender(NULL);
	CHECK(!pthread_join(t, NULL));
	CHECK(got[0] > 0 && got[0] <= sent[1] && got[1] > 0 &&
	      got[1] <= sent[0]);
	CHECK(!raise(SIGRTMAX) && plain == SIGRTMAX);
	say("%d and %d times\n", times(300, 40), times(300, 40));
}

int main(void)
{
	bool error = true;
	uint32_t i;

	CHECK(signal(SIGRTMAX, on_plain) != SIG_ERR);
	CHECK(dune_apic_id() == ~0u && dune_apic_send_ipi(V, 0) == -EPERM);
	OK(dune_init_and_enter());
	basics();
	calls();
	serves_one();
	interrupts_ring3();
	storm();
	for (i = 0; error && i < 256; i++)
		apic_id_for_cpu(i, &error);
	CHECK(!error);
	apic_id_for_cpu(100000, &error);
	CHECK(error);
	OK(dune_leave());
	say("interrupted\n");
	return 0;
}
