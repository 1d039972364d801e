/*
 * Constructors that misbehave: which, says the name that the object was built
 * under (plugin.mk makes one object for each).
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef WHICH
#define WHICH 0
#endif

enum { NOTHING, CRASH, SPIN, EXIT, EXEC, LOOK, REOPEN };

static int got;

int result(int x) { return got + x; }

static void *spinner(void *arg)
{
	for (;;)
		;
	return arg;
}

/* What can be opened while libraries may be. */
static int look(void)
{
	static const char *const files[] = {
		"/etc/passwd", "/etc/shadow", "/proc/self/mem",
		"/proc/self/pagemap", "/proc/1/environ", "/dev/kvm",
		"/dev/tty", "/dev/mem", "/root", "/home", "/tmp", ".",
		"/proc/self/root", "/proc/self/cwd", "/proc/self/exe",
		"/proc/self/fd/0/../../../etc/passwd", "/sys/kernel",
	};
	size_t i;

	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (open(files[i], O_RDONLY) >= 0)
			return i + 1;
	if (open("/usr/lib/new-file", O_CREAT | O_RDWR, 0600) >= 0 ||
	    open("/tmp/new-file", O_CREAT | O_RDWR, 0600) >= 0)
		return 100;
	return 0;
}

/* Descriptors once more, with other rights. */
static int reopen(void)
{
	char name[64];
	int fd, new;

	for (fd = 0; fd < 400; fd++) {
		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		new = open(name, O_RDWR);
		if (new < 0)
			continue;
		/* 0, 1 and 2 are /dev/null */
		if (fd > 2 && mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				   MAP_SHARED, new, 0) != MAP_FAILED)
			return fd + 1;
		close(new);
	}
	return 0;
}

__attribute__((constructor)) static void construct(void)
{
	char *const argv[] = { (char *)"/bin/true", NULL };
	pthread_t t;

	switch (WHICH) {
	case CRASH:
		*(volatile int *)16 = 1;
		break;
	case SPIN:
		pthread_create(&t, NULL, spinner, NULL);
		for (;;)
			;
	case EXIT:
		exit(3);
	case EXEC:
		execv("/bin/true", argv);
		break;
	case LOOK:
		got = look();
		break;
	case REOPEN:
		got = reopen();
		break;
	}
}
