/*
 * Where the monitor rewrites system call sites, it writes into the program's
 * own pages: these are taken away, written over and replaced while it does.
 * What comes of it is the program's own affair.
 */
#include "hostile.h"

/* mov $110, %eax; syscall; cmp $-4095, %rax; ret, all over a page */
#define SITES 32
static const unsigned char site[] = {
	0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0x48, 0x3d, 1, 0xf0, 0xff, 0xff, 0xc3,
};

static unsigned char *code;
static const char *dir;
static volatile int stop;
static int kind;

static long run(int i)
{
	return ((long (*)(void))(code + i * 64 + i))();
}

static void *map_code(void *at)
{
	unsigned char page[PAGE] = { 0 };
	char name[256];
	void *p;
	int fd;

	for (int i = 0; i < SITES; i++)
		memcpy(page + i * 64 + i, site, sizeof(site));
	snprintf(name, sizeof(name), "%s/code", dir);
	fd = open(name, O_RDWR | O_CREAT, 0700);
	CHECK(fd >= 0 && write(fd, page, PAGE) == PAGE);
	p = mmap(at, PAGE, PROT_READ | PROT_EXEC,
		 MAP_PRIVATE | (at ? MAP_FIXED : 0), fd, 0);
	CHECK(p != MAP_FAILED);
	close(fd);
	return p;
}

/* Where the jump at a site goes to, if there is one. */
static unsigned char *target(int i)
{
	unsigned char *at = code + i * 64 + i + 5;
	int rel;

	if (*at != 0xe9)
		return NULL;
	memcpy(&rel, at + 1, 4);
	return at + 5 + rel;
}

static void *vandal(void *arg)
{
	for (int n = 0; n < 300 && !stop; n++) {
		unsigned char *t = target(n % SITES);
		char *page = (char *)((unsigned long)t & -PAGE);

		switch (t ? kind : 4) {
		case 0:		/* gone */
			munmap(page, PAGE);
			break;
		case 1:		/* something else, and writable */
			mmap(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
			break;
		case 2:		/* shared with a file */
			mmap(page, PAGE, PROT_READ | PROT_EXEC,
			     MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
			break;
		case 3:		/* leads anywhere */
			if (!mprotect(page, PAGE, PROT_READ | PROT_WRITE |
				      PROT_EXEC))
				(void)TRY(memcpy(t + 9, &outside[n % OUTSIDE],
						 8));
			break;
		default:	/* the sites themselves */
			madvise(code, PAGE, MADV_DONTNEED);
			mprotect(code, PAGE, n & 1 ? PROT_READ : PROT_NONE);
			mprotect(code, PAGE, PROT_READ | PROT_EXEC);
			if (n % 7 == 0)
				map_code(code);
		}
	}
	return arg;
}

static void child(void)
{
	pthread_t t;

	/* it may run into code that never ends */
	alarm(1);
	try_init();
	code = map_code(NULL);
	for (int i = 0; i < SITES / 2; i++)
		run(i);
	pthread_create(&t, NULL, vandal, NULL);
	for (int n = 0; n < 400; n++)
		(void)TRY(run(n % SITES));
	stop = 1;
	pthread_join(t, NULL);
}

/* A file that ends before its code does. */
static void cut_off(void)
{
	char name[256];

	try_init();
	code = map_code(NULL);
	snprintf(name, sizeof(name), "%s/code", dir);
	for (int n = 0; n < 120; n++) {
		(void)TRY(run(n % SITES));
		if (n % 20 == 10)
			CHECK(truncate(name, 0) == 0);
		if (n % 20 == 19)
			map_code(code);
	}
}

int main(int argc, char **argv)
{
	int st = 0;

	CHECK(argc == 2);
	dir = argv[1];
	code = map_code(NULL);
	for (int i = 0; i < SITES; i++)
		run(i);
	if (!target(0)) {
		contained("no code is rewritten here");
		return 0;
	}
	for (kind = 0; kind < 5; kind++)
		st = guarded(child);
	guarded(cut_off);
	/* the parent is as it was */
	map_code(code);
	for (int n = 0; n < 300; n++)
		CHECK(run(n % SITES) == getppid());
	/* what ran wild may have printed half a line */
	say("\n");
	contained("code pages pulled away, the last ended by %s", how(st));
	return 0;
}
