/*
 * Files in memory: private copies, shared pages that other mappings and
 * read(2) see, msync, truncation (SIGBUS, then zeroes), offsets, permissions.
 */
#include <setjmp.h>
#include "guest.h"

#define RW (PROT_READ | PROT_WRITE)

static sigjmp_buf env;

static void bus(int sig, siginfo_t *si, void *uc)
{
	(void)uc;
	siglongjmp(env, sig * 10 + si->si_code);
}

int main(int argc, char **argv)
{
	char buf[PAGE], *priv, *sh, *sh2, *off;
	int fd, ro, r;

	enter_dir(argc, argv);
	fd = open("file", O_CREAT | O_TRUNC | O_RDWR, 0600);
	CHECK(fd >= 0);
	for (int i = 0; i < 8; i++) {
		memset(buf, 'a' + i, PAGE);
		CHECK(write(fd, buf, PAGE) == PAGE);
	}
	priv = mmap(NULL, 8 * PAGE, RW, MAP_PRIVATE, fd, 0);
	sh = mmap(NULL, 8 * PAGE, RW, MAP_SHARED, fd, 0);
	sh2 = mmap(NULL, 8 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	off = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 3 * PAGE);
	CHECK(priv != MAP_FAILED && sh != MAP_FAILED && sh2 != MAP_FAILED &&
	      off != MAP_FAILED);
	say("%c %c %c %c\n", priv[0], sh[PAGE], sh2[2 * PAGE], off[0]);

	priv[0] = 'P';
	sh[PAGE] = 'S';
	CHECK(sh2[0] == 'a' && sh2[PAGE] == 'S' && priv[PAGE] == 'S');
	CHECK(pread(fd, buf, 2, PAGE) == 2 && buf[0] == 'S' && buf[1] == 'b');
	CHECK(pwrite(fd, "W", 1, 5 * PAGE) == 1);
	CHECK(sh[5 * PAGE] == 'W' && sh2[5 * PAGE] == 'W');
	CHECK(msync(sh, 8 * PAGE, MS_SYNC) == 0);
	FAILS(EINVAL, msync(sh + 1, PAGE, MS_SYNC));
	if (fork() == 0) {
		sh[6 * PAGE] = 'C';
		priv[6 * PAGE] = 'X';
		_exit(0);
	}
	wait(NULL);
	say("child's: %c, private %c\n", sh2[6 * PAGE], priv[6 * PAGE]);

	ro = open("file", O_RDONLY);
	FAILS(EACCES, mmap(NULL, PAGE, RW, MAP_SHARED, ro, 0));
	CHECK(mmap(NULL, PAGE, RW, MAP_PRIVATE, ro, 0) != MAP_FAILED);
	CHECK(close(ro) == 0);
	FAILS(EACCES, mprotect((ro = open("file", O_RDONLY),
				mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0)),
			       PAGE, RW));
	FAILS(ENODEV, mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE,
			   open(".", O_RDONLY), 0));
	say("permissions\n");

	/* Cut short: what was mapped faults, and is zero when it grows. */
	handle(SIGBUS, bus, 0);
	CHECK(ftruncate(fd, 2 * PAGE + 10) == 0);
	r = sigsetjmp(env, 1);
	if (r == 0)
		say("read %c\n", *(volatile char *)(sh + 4 * PAGE));
	else
		say("cut: signal %d code %d\n", r / 10, r % 10);
	CHECK(sh[2 * PAGE] == 'c' && sh[2 * PAGE + 10] == 0);
	r = sigsetjmp(env, 1);
	if (r == 0)
		*(volatile char *)(sh + 5 * PAGE) = 1;
	else
		say("cut: signal %d code %d\n", r / 10, r % 10);
	CHECK(ftruncate(fd, 8 * PAGE) == 0);
	CHECK(sh[4 * PAGE] == 0 && sh2[5 * PAGE] == 0);
	sh[4 * PAGE] = 'g';
	CHECK(sh2[4 * PAGE] == 'g');
	say("grown\n");

	/* Over one half of an anonymous mapping. */
	priv = map(4 * PAGE, RW);
	memset(priv, 'z', 4 * PAGE);
	CHECK(mmap(priv + PAGE, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED,
		   fd, 0) == priv + PAGE);
	say("%c %c %c\n", priv[0], priv[PAGE], priv[3 * PAGE]);
	return 0;
}
