/* Which memory a system call may write: lengths, vectors, messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include "kern/self/outbuf.h"
#include "kern/types.h"

#define P(p)	((uint64_t)(uintptr_t)(p))

static struct { uint64_t va, len; } told[64];
static unsigned int n_told;

static void visit(void *ctx, uint64_t va, uint64_t len)
{
	assert_ptr_equal(ctx, told);
	assert_true(n_told < DUNE_ARRAY_SIZE(told));
	told[n_told].va = va;
	told[n_told++].len = len;
}

static void ask(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	const uint64_t arg[6] = { a, b, c, d };

	n_told = 0;
	dune_outbuf_each(nr, arg, visit, told);
}

static bool is_told(const void *p, uint64_t len)
{
	unsigned int i;

	for (i = 0; i < n_told; i++)
		if (told[i].va <= P(p) &&
		    P(p) + len <= told[i].va + told[i].len)
			return true;
	return false;
}

static void test_lengths(void **state)
{
	char buf[64];

	(void)state;
	ask(SYS_read, 0, P(buf), 10, 0);
	assert_int_equal(n_told, 1);
	assert_true(is_told(buf, 10));
	assert_false(is_told(buf, 11));
	ask(SYS_fstat, 0, P(buf), 0, 0);
	assert_true(is_told(buf, sizeof(struct stat)));
	ask(SYS_getdents64, 0, P(buf), 64, 0);
	assert_true(is_told(buf, 64));
	ask(SYS_epoll_wait, 0, P(buf), 3, 0);
	assert_true(is_told(buf, 3 * sizeof(struct epoll_event)));
	ask(SYS_poll, P(buf), 4, 0, 0);
	assert_true(is_told(buf, 4 * sizeof(struct pollfd)));
	ask(SYS_io_getevents, 0, 1, 5, P(buf));
	assert_true(is_told(buf, 5 * 32));
	ask(SYS_msgrcv, 0, P(buf), 5, 0);
	assert_true(is_told(buf, 5 + sizeof(long)));
	ask(SYS_ioctl, 0, _IOR('x', 1, char[8000]), P(buf), 0);
	assert_true(is_told(buf, 8000));
	ask(SYS_ioctl, 0, TIOCGWINSZ, P(buf), 0);
	assert_true(is_told(buf, sizeof(struct winsize)));
}

static void test_nothing(void **state)
{
	(void)state;
	ask(SYS_write, 1, P("x"), 1, 0);
	assert_int_equal(n_told, 0);
	ask(SYS_getpid, 0, 0, 0, 0);
	assert_int_equal(n_told, 0);
	ask(SYS_read, 0, 0, 10, 0);
	assert_int_equal(n_told, 0);
}

static void test_unknown(void **state)
{
	char buf[64];

	(void)state;
	ask(480, 0, P(buf), 0, 0);
	assert_true(is_told(buf, 64));
	ask(-1, P(buf), 0, 0, 0);
	assert_true(is_told(buf, 64));
	ask(1ul << 40, P(buf), 0, 0, 0);
	assert_true(is_told(buf, 64));
}

static void test_wraps(void **state)
{
	(void)state;
	ask(SYS_read, 0, -4096ul, 8192, 0);
	assert_int_equal(n_told, 1);
	assert_int_equal(told[0].len, 4096);
	/* a length that is none */
	ask(SYS_poll, P(told), -1ul, 0, 0);
	assert_true(is_told(told, 0xfffffffful * 8));
}

static void test_vectors(void **state)
{
	static char buf[20][100];
	struct iovec v[20];
	unsigned int i;

	(void)state;
	for (i = 0; i < 20; i++)
		v[i] = (struct iovec){ buf[i], i + 1 };
	ask(SYS_preadv2, 0, P(v), 20, 0);
	assert_int_equal(n_told, 20);
	for (i = 0; i < 20; i++)
		assert_true(is_told(buf[i], i + 1));
	ask(SYS_readv, 0, 0x10, 3, 0);	/* EFAULT, and nothing is read */
	assert_int_equal(n_told, 0);
	ask(SYS_readv, 0, P(v), 1ul << 40, 0);
	assert_int_equal(n_told, 0);
}

static void test_messages(void **state)
{
	char name[16], control[64], data[2][32];
	struct iovec v[2] = { { data[0], 32 }, { data[1], 32 } };
	struct mmsghdr m[2];

	(void)state;
	memset(m, 0, sizeof(m));
	m[0].msg_hdr = (struct msghdr){ name, 16, v, 1, control, 64, 0 };
	m[1].msg_hdr = (struct msghdr){ NULL, 0, &v[1], 1, NULL, 0, 0 };
	ask(SYS_recvmsg, 0, P(m), 0, 0);
	assert_true(is_told(&m[0].msg_hdr, sizeof(struct msghdr)));
	assert_true(is_told(name, 16) && is_told(control, 64));
	assert_true(is_told(data[0], 32));
	assert_false(is_told(data[1], 32));
	ask(SYS_recvmmsg, 0, P(m), 2, 0);
	assert_true(is_told(data[1], 32));
	assert_true(is_told(&m[1], sizeof(m[1])));
}

/* What is read: the same way, strings by their first byte. */
static void both(void *ctx, uint64_t va, uint64_t len, bool write)
{
	(void)ctx;
	told[n_told].va = va;
	told[n_told].len = len | (uint64_t)write << 63;
	assert_true(++n_told < DUNE_ARRAY_SIZE(told));
}

static void test_reads(void **state)
{
	char buf[2][64];
	struct iovec v[2] = { { buf[0], 3 }, { buf[1], 4 } };
	uint64_t arg[6] = { 1, P(buf[0]), 7 };

	(void)state;
	n_told = 0;
	dune_buffers_each(SYS_write, arg, both, NULL);
	assert_int_equal(n_told, 1);
	assert_int_equal(told[0].len, 7);
	n_told = 0;
	dune_buffers_each(SYS_read, arg, both, NULL);
	assert_int_equal(told[0].len, 7 | 1ul << 63);
	arg[1] = P(v);
	arg[2] = 2;
	n_told = 0;
	dune_buffers_each(SYS_writev, arg, both, NULL);
	assert_true(is_told(buf[0], 3) && is_told(buf[1], 4));
	ask(SYS_writev, 1, P(v), 2, 0);
	assert_int_equal(n_told, 0);
	n_told = 0;
	dune_buffers_each(480, arg, both, NULL);
	assert_int_equal(n_told, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_wraps),
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
