/*
 * Mailboxes without a VM: a thread plays the guest, another the proxy, a third
 * the vCPU's. No call is lost or run twice, whatever is taken back when; from a
 * guest that scribbles, nothing is believed. And where in the entry code a
 * vCPU is found, its registers come out as the caller's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include "kern/vm/mailbox.h"
#include "kern/vm/ring0.h"

#define ENTRY	0x8000			/* in the ring 0 area */
#define CODE	(DUNE_RING0_GVA + ENTRY)
#define CALLS	20000

struct place {
	uint16_t offset, what;
};
extern const struct place dune_entry_soft_places[], dune_entry_hard_places[];
extern const char dune_entry_soft_code[], dune_entry_hard_code[];

#define GET(x)	__atomic_load_n(&(x), __ATOMIC_ACQUIRE)

static struct dune_mailbox box;
static struct dune_vm vm;
static struct dune_vcpu vcpu;

static void start(bool hard)
{
	memset(&box, 0, sizeof(box));
	memset(&vm, 0, sizeof(vm));
	vm.kind.native_ring0 = hard;
	vcpu = (struct dune_vcpu){ .vm = &vm, .box = &box, .entry = ENTRY };
	dune_mailbox_serve(&vcpu, true);
}

static void post(uint64_t nr)
{
	box.nr = nr;
	box.rip = 0x400100;
	box.rflags = 0x246;
	__atomic_store_n(&box.state, DUNE_BOX_POSTED, __ATOMIC_RELEASE);
}

/* The registers as the entry code has them at a place. */
static enum dune_exit find(uint64_t offset, bool by_out, bool *found)
{
	enum dune_exit e = DUNE_EXIT_DEAD;

	vcpu.u = (struct kvm_regs){
		.rip = CODE + offset, .rax = 110, .rcx = 0x400100, .r11 = 0x246,
		.rflags = 0x297, .rsp = 0x1000, .rdi = 5,
	};
	vcpu.edited = false;
	*found = dune_mailbox_found(&vcpu, by_out, &e);
	return e;
}

static uint64_t at(const struct place *p, unsigned int what)
{
	while (p->what != what)
		p++;
	return p->offset;
}

/* From each byte of the code: a call to serve, or one that has been served. */
static void everywhere(const struct place *p, bool hard)
{
	uint64_t end = at(p, DUNE_AT_NOTHING);
	bool found;

	for (uint64_t off = 0; off < end; off++) {
		enum dune_exit e;

		start(hard);
		post(110);
		box.rsp = 0x1000;
		e = find(off, false, &found);
		assert_true(found);
		assert_true(e == DUNE_EXIT_SYSCALL || e == DUNE_EXIT_INTR);
		assert_true(vcpu.edited && vcpu.user_mode);
		assert_int_equal(vcpu.u.rip, 0x400100);
		assert_int_equal(vcpu.u.rsp, 0x1000);
		assert_int_equal(vcpu.u.rdi, 5);
		/* by `out` only where one is */
		find(off, true, &found);
		assert_true(!found || off == at(p, DUNE_AT_OUT) ||
			    off == at(p, DUNE_AT_OUT) + DUNE_OUT_LEN ||
			    off == at(p, DUNE_AT_WAIT) ||
			    off == at(p, DUNE_AT_WAIT) + DUNE_OUT_LEN);
	}
	find(end, false, &found);
	assert_false(found);
	find(-1ul, false, &found);
	assert_false(found);
}

static void test_everywhere(void **state)
{
	(void)state;
	everywhere(dune_entry_soft_places, false);
	everywhere(dune_entry_hard_places, true);
}

static void test_taken_back(void **state)
{
	const struct place *p = dune_entry_hard_places;
	struct dune_post copy;
	bool found;

	(void)state;
	start(true);
	dune_mailbox_enter(&vcpu);
	post(110);
	dune_mailbox_leave(&vcpu);
	/* not in the guest: nobody else's */
	assert_false(dune_mailbox_take(&vcpu, &copy));
	assert_int_equal(find(at(p, DUNE_AT_WAIT), true, &found),
			 DUNE_EXIT_SYSCALL);
	assert_int_equal(vcpu.u.rax, 110);
	assert_int_equal(vcpu.box_late, 1);
	assert_int_equal(box.state, DUNE_BOX_FREE);
}

static void test_answered(void **state)
{
	const struct place *p = dune_entry_hard_places;
	struct dune_post copy;
	bool found;

	(void)state;
	start(true);
	dune_mailbox_enter(&vcpu);
	post(110);
	assert_true(dune_mailbox_take(&vcpu, &copy));
	assert_int_equal(copy.nr, 110);
	dune_mailbox_answer(&vcpu, -38);
	dune_mailbox_leave(&vcpu);
	assert_int_equal(find(at(p, DUNE_AT_POSTED), false, &found),
			 DUNE_EXIT_INTR);
	assert_int_equal(vcpu.u.rax, -38);
	assert_int_equal(vcpu.u.rip, 0x400100);
	assert_int_equal(vcpu.u.rflags, 0x246);

	dune_mailbox_enter(&vcpu);
	post(110);
	assert_true(dune_mailbox_take(&vcpu, &copy));
	dune_mailbox_decline(&vcpu);
	dune_mailbox_leave(&vcpu);
	assert_int_equal(find(at(p, DUNE_AT_WAIT), true, &found),
			 DUNE_EXIT_SYSCALL);
	assert_int_equal(vcpu.u.rax, 110);
	assert_int_equal(vcpu.box_late, 0);
}

static void test_not_served(void **state)
{
	struct dune_post copy;

	(void)state;
	start(true);
	dune_mailbox_serve(&vcpu, false);
	dune_mailbox_enter(&vcpu);
	post(110);
	assert_false(dune_mailbox_take(&vcpu, &copy));
	dune_mailbox_leave(&vcpu);
}

/* ---- all three at once ---- */

static unsigned int proxied[CALLS];
static int stop, in_guest, in_proxy;

static void *proxy(void *arg)
{
	struct dune_post copy;

	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		if (!dune_mailbox_take(&vcpu, &copy))
			continue;
		/* the vCPU's thread has to wait for this */
		__atomic_store_n(&in_proxy, 1, __ATOMIC_SEQ_CST);
		if (!__atomic_load_n(&in_guest, __ATOMIC_SEQ_CST))
			abort();
		if (copy.nr < CALLS)
			proxied[copy.nr]++;
		if (copy.nr % 64 == 0)
			sched_yield();
		__atomic_store_n(&in_proxy, 0, __ATOMIC_SEQ_CST);
		if (copy.nr % 7)
			dune_mailbox_answer(&vcpu, copy.nr + 1);
		else
			dune_mailbox_decline(&vcpu);
	}
	return arg;
}

static void *scribbler(void *arg)
{
	volatile uint32_t *w = (volatile uint32_t *)&box;
	unsigned int seed = 1;

	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		seed = seed * 1103515245 + 12345;
		w[(seed >> 16) % (sizeof(box) / 4)] = seed >> 8;
		w[0] = seed >> 28;
	}
	return arg;
}

/* A guest that posts and, as kicks may come at any time, leaves any time. */
static void run(bool honest)
{
	uint64_t wait = at(dune_entry_hard_places, DUNE_AT_WAIT);
	unsigned int here = 0, there = 0, declined = 0;
	enum dune_exit e;
	bool found;

	for (unsigned int i = 0; i < CALLS; i++) {
		__atomic_store_n(&in_guest, 1, __ATOMIC_SEQ_CST);
		dune_mailbox_enter(&vcpu);
		post(i);
		for (unsigned int n = 0; n < i % 200; n++) {
			if (GET(box.state) > DUNE_BOX_POSTED)
				break;
			if (i % 5 == 0)
				sched_yield();
		}
		dune_mailbox_leave(&vcpu);
		__atomic_store_n(&in_guest, 0, __ATOMIC_SEQ_CST);
		assert_false(__atomic_load_n(&in_proxy, __ATOMIC_SEQ_CST));
		e = find(wait, true, &found);
		assert_true(found);
		if (!honest)
			continue;
		assert_true(proxied[i] <= 1);
		if (e == DUNE_EXIT_INTR) {
			assert_int_equal(vcpu.u.rax, i + 1);
			assert_int_equal(proxied[i], 1);
			there++;
			continue;
		}
		/* declined, or taken back before it began */
		assert_int_equal(vcpu.u.rax, i);
		assert_true(!proxied[i] || i % 7 == 0);
		declined += proxied[i];
		here++;
	}
	if (honest)
		print_message("served there %u, here %u, declined %u\n", there,
			      here, declined);
}

static void at_once(bool honest)
{
	pthread_t p, s;

	start(true);
	memset(proxied, 0, sizeof(proxied));
	stop = 0;
	pthread_create(&p, NULL, proxy, NULL);
	if (!honest)
		pthread_create(&s, NULL, scribbler, NULL);
	run(honest);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	pthread_join(p, NULL);
	if (!honest)
		pthread_join(s, NULL);
}

static void test_at_once(void **state)
{
	(void)state;
	at_once(true);
}

static void test_hostile(void **state)
{
	(void)state;
	at_once(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everywhere),
		cmocka_unit_test(test_taken_back),
		cmocka_unit_test(test_answered),
		cmocka_unit_test(test_not_served),
		cmocka_unit_test(test_at_once),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
