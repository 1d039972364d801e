/* A plugin that ends badly, each time in another way. */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <unistd.h>

static volatile int zero;
static int *volatile null;

int read_null(int x) { return *(null + x); }
int write_code(int x) { *(volatile char *)(uintptr_t)write_code = x; return 0; }
int jump_nowhere(int x) { return ((int (*)(int))0x123456)(x); }
int jump_data(int x)
{
	static char code[] = "\x89\xf8\xc3";

	return ((int (*)(int))(uintptr_t)code)(x);
}
int divide(int x) { return x / zero; }
int illegal(int x) { __asm__ volatile("ud2"); return x; }
int privileged(int x) { __asm__ volatile("cli"); return x; }
int aborts(int x) { abort(); return x; }
int exits(int x) { exit(x); }
int exits_fast(int x) { _exit(x); }

int overflow(int x)
{
	volatile char room[4096];

	memset((char *)room, x, sizeof(room));
	return overflow(x + 1) + room[5];
}

int spins(int x) { for (;;) zero = 0; return x; }
int sleeps(int x) { for (;;) sleep(1000); return x; }
int calls_spin(int x) { for (;;) syscall(SYS_getpid); return x; }
int opens(int x) { return open("/etc/passwd", O_RDONLY) + x; }
int sockets(int x) { return socket(AF_INET, SOCK_STREAM, 0) + x; }
int executes(int x)
{
	char *const argv[] = { (char *)"/bin/true", NULL };

	return execv("/bin/true", argv) + x;
}
int forks(int x) { return fork() < 0 ? x : -1; }
int forks_often(int x)
{
	int done = 0;

	while (x--) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		done += pid > 0;
		usleep(10);
	}
	return done;
}
int vforks(int x)
{
	pid_t pid = vfork();

	if (pid == 0)
		_exit(0);
	return pid < 0 ? x : -1;
}
int kills_parent(int x) { return kill(getppid(), SIGKILL) + x; }
int kills_self(int x) { raise(SIGKILL); return x; }
int terminates(int x) { raise(SIGTERM); return x; }
int stops(int x) { raise(SIGSTOP); return x; }

static void *late_main(void *arg)
{
	usleep(20000);
	open("/etc/passwd", O_RDONLY);
	return arg;
}

/* A system call after the call has returned. */
int later(int x)
{
	pthread_t t;

	pthread_create(&t, NULL, late_main, NULL);
	return x;
}

static void on_fault(int sig) { (void)sig; for (;;) ; }

/* Its own handler must not keep it alive beyond its limits. */
int catches(int x)
{
	signal(SIGSEGV, on_fault);
	return read_null(x);
}

int ignores(int x)
{
	sigset_t all;

	for (int i = 1; i < 65; i++)
		signal(i, SIG_IGN);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	return read_null(x);
}

int eats_memory(int x)
{
	size_t all = 0;

	for (;;) {
		char *p = malloc(16 << 20);

		if (!p)
			return (int)(all >> 20);
		memset(p, x, 16 << 20);
		all += 16 << 20;
	}
}

static void *bomb_main(void *arg) { for (;;) sleep(1000); return arg; }

int eats_threads(int x)
{
	pthread_attr_t a;
	pthread_t t;
	int n = 0;

	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 64 << 10);
	while (n < 10000 && pthread_create(&t, &a, bomb_main, NULL) == 0)
		n++;
	return n + x;
}
