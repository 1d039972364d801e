/*
 * Batches of system calls whose array other threads rewrite and unmap
 * meanwhile; arrays that lie outside, in themselves, and have no end; and calls
 * that are refused alone.
 */
#include "../../libdune/include/dune/syscall.h"
#include "hostile.h"

#define CALLS	16

static struct dune_syscall own_calls[CALLS];
static char own[64];
static volatile int stop;
static int fds[2];

static long batch(const volatile void *at, unsigned long n)
{
	return syscall(DUNE_NR_BATCH, at, n, 0);
}

/* As the library: who is alone or late is made by itself. */
static void both(struct dune_syscall *c)
{
	long n = batch(c, 2);

	for (n = n > 0 ? n : 0; n < 2; n++) {
		c[n].ret = syscall(c[n].nr, c[n].arg[0], c[n].arg[1],
				   c[n].arg[2]);
		if (c[n].ret < 0)
			c[n].ret = -errno;
	}
}

static void set(struct dune_syscall *c, long nr, long a, const void *b, long n)
{
	c->nr = nr;
	c->arg[0] = a;
	c->arg[1] = (unsigned long)b;
	c->arg[2] = n;
}

/* Right, and in the next moment not. */
static void *flipper(void *arg)
{
	for (unsigned int i = 0; !stop; i++) {
		struct dune_syscall *c = &own_calls[i % CALLS];

		c->arg[1] = outside[i % OUTSIDE];
		c->arg[2] = -1ul;
		__asm__ volatile("" : : : "memory");
		c->arg[2] = 8;
		c->arg[1] = (unsigned long)own;
		__asm__ volatile("" : : : "memory");
		c->nr = SYS_pidfd_getfd;
		c->arg[0] = 1ul << 20;
		__asm__ volatile("" : : : "memory");
		c->nr = DUNE_NR_BATCH;
		c->arg[0] = (unsigned long)own_calls;
		__asm__ volatile("" : : : "memory");
		c->arg[0] = fds[1];
		c->nr = SYS_write;
	}
	return arg;
}

static void *unmapper(void *arg)
{
	char *p = arg;

	while (!stop) {
		mprotect(p, PAGE, PROT_READ);
		mprotect(p, PAGE, PROT_NONE);
		munmap(p, PAGE);
		mmap(p, PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	}
	return NULL;
}

static int drain(void)
{
	char buf[4096];
	int n = read(fds[0], buf, sizeof(buf));

	for (int i = 0; i < n; i++)
		if (buf[i] != 'o')
			ESCAPED("sent %#x", buf[i]);
	return n > 0;
}

static void rewritten(void)
{
	pthread_t t;
	int sent = 0;

	for (int i = 0; i < CALLS; i++)
		set(&own_calls[i], SYS_write, fds[1], own, 8);
	pthread_create(&t, NULL, flipper, NULL);
	for (int i = 0; i < 1500; i++) {
		if (batch(own_calls, CALLS) > CALLS)
			ESCAPED("more than there are");
		sent += drain();
	}
	stop = 1;
	pthread_join(t, NULL);
	stop = 0;
	contained("%s", sent ? "only own memory was sent" : "nothing sent");
}

static void unmapped(void)
{
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct dune_syscall *c = (void *)(p + PAGE);
	pthread_t t;

	CHECK(p != MAP_FAILED);
	for (int i = 1; i <= CALLS / 2; i++)
		set(c - i, SYS_write, fds[1], own, 8);
	pthread_create(&t, NULL, unmapper, p + PAGE);
	for (int i = 0; i < 300; i++) {
		batch(c - CALLS / 2, CALLS);
		drain();
	}
	stop = 1;
	pthread_join(t, NULL);
	contained("an array that goes away");
}

static void places(void)
{
	struct dune_syscall c[2];

	for (unsigned int i = 0; i < OUTSIDE; i++) {
		if (batch((void *)outside[i], 1) > 0 ||
		    batch((void *)(outside[i] & ~7ul), -1ul) > 0)
			ESCAPED("an array at %#lx", outside[i]);
		memset(c, 0, sizeof(c));
		set(&c[0], SYS_write, fds[1], (void *)outside[i], 8);
		set(&c[1], SYS_clock_gettime, 0, (void *)outside[i], 0);
		both(c);
		if (c[0].ret >= 0 || c[1].ret >= 0)
			ESCAPED("a buffer at %#lx", outside[i]);
		/* the array is its own buffer */
		set(&c[0], SYS_read, fds[0], c, sizeof(c));
		set(&c[1], SYS_getppid, 0, NULL, 0);
		(void)!write(fds[1], own, sizeof(own));
		both(c);
	}
	drain();
	contained("arrays and buffers outside");
}

static void refused(void)
{
	static const long nr[] = {
		SYS_ptrace, SYS_pidfd_getfd, SYS_mount, SYS_init_module,
		SYS_io_uring_setup, SYS_socket,
	};
	struct dune_syscall c[2];

	for (unsigned int i = 0; i < sizeof(nr) / sizeof(nr[0]); i++) {
		memset(c, 0, sizeof(c));
		set(&c[0], SYS_getppid, 0, NULL, 0);
		set(&c[1], nr[i], 2, (void *)1, 0);	/* AF_INET, stream */
		both(c);
		if (c[1].ret > 0)
			ESCAPED("call %ld", nr[i]);
	}
	/* the monitor's descriptors */
	for (int fd = 3; fd < 5000; fd++) {
		if (fd == fds[0] || fd == fds[1])
			continue;
		set(&c[1], SYS_fcntl, fd, (void *)F_GETFD, 0);
		c[1].ret = -EBADF;
		both(c);
		if (c[1].ret != -EBADF)
			ESCAPED("descriptor %d: %ld", fd, (long)c[1].ret);
	}
	contained("calls refused alone");
}

int main(void)
{
	memset(own, 'o', sizeof(own));
	CHECK(pipe2(fds, O_NONBLOCK) == 0);
	places();
	refused();
	rewritten();
	unmapped();
	return 0;
}
