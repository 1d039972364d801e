/* A well-behaved plugin: what compilers and C libraries make of C. */
#include <errno.h>
#include <fenv.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int constructed;
static __thread int tls = 5;
int global = 100;

__attribute__((constructor)) static void construct(void)
{
	constructed = 7;
}

int was_constructed(int x) { return constructed + x; }
int add(int a, int b) { return a + b; }
double mul(double a, double b) { return a * b; }
float fsum(float a, int i, double d) { return a + i + d; }
int8_t narrow(int8_t a) { return a - 1; }
uint8_t unsigned_narrow(uint8_t a) { return a + 1; }
_Bool both(_Bool a, _Bool b) { return a && b; }
int64_t negative(int32_t a) { return a; }
void nothing(void) { }
int nop(int x) { return x; }

long many(long a, long b, long c, long d, long e, long f, long g, double x,
	  long h)
{
	return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + (long)x +
	       8 * h;
}

double doubles(double a, double b, double c, double d, double e, double f,
	       double g, double h, double i, double j)
{
	return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h +
	       9 * i + 10 * j;
}

/* A stack that is not aligned faults here. */
int aligned(int x)
{
	volatile double v[4] __attribute__((aligned(32))) = { x, x, x, x };

	return ((uintptr_t)v & 31) == 0 ? (int)(v[0] + v[3]) : -1;
}

struct point { int x, y; double w; };

double by_pointer(struct point *p)
{
	p->x++;
	p->y *= 2;
	return p->x + p->y + p->w;
}

void upper(char *s)
{
	for (; *s; s++)
		if (*s >= 'a' && *s <= 'z')
			*s -= 32;
}

char *copy(const char *s) { return strdup(s); }

static jmp_buf where;

static void deep(int n)
{
	if (n == 0)
		longjmp(where, 42);
	deep(n - 1);
}

int jumps(int n)
{
	int got = setjmp(where);

	if (!got)
		deep(n);
	return got;
}

static void *thread_main(void *arg)
{
	tls = 1000;
	return (void *)((intptr_t)arg * 2);
}

int threads(int n)
{
	pthread_t t[64];
	void *r;
	int sum = 0;

	for (int i = 0; i < n; i++)
		if (pthread_create(&t[i], NULL, thread_main,
				   (void *)(intptr_t)i))
			return -i - 1;
	for (int i = 0; i < n; i++) {
		pthread_join(t[i], &r);
		sum += (intptr_t)r;
	}
	return tls == 5 ? sum : -1000;
}

static volatile sig_atomic_t caught;
static void on_signal(int sig) { caught = sig; }

int signals(int x)
{
	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	return caught == SIGUSR1 ? x : -1;
}

int floats(int x)
{
	/* the default state of the FPU: round to nearest, no traps */
	volatile double zero = 0, inf = x / zero;

	return fegetround() == FE_TONEAREST && inf > 1e300;
}

int clocks(int x)
{
	struct timespec a, b;
	struct tm tm;
	time_t t = 0;

	clock_gettime(CLOCK_MONOTONIC, &a);
	usleep(1000);
	clock_gettime(CLOCK_MONOTONIC, &b);
	return localtime_r(&t, &tm) && tm.tm_year >= 69 &&
	       (b.tv_sec > a.tv_sec || b.tv_nsec > a.tv_nsec) ? x : -1;
}

int allocate(int mib)
{
	char *p = malloc((size_t)mib << 20);

	if (!p)
		return -ENOMEM;
	for (size_t i = 0; i < (size_t)mib << 20; i += 4096)
		p[i] = 1;
	free(p);
	return 0;
}

int prints(int x)
{
	printf("the plugin prints %d\n", x);
	fflush(stdout);
	return x;
}

int get_global(int x) { (void)x; return global; }
int set_global(int x) { global = x; return 0; }
int counter(int x)
{
	static int n;

	return n += x;
}

int peek(const int *p) { return *p; }
int poke(int *p, int v) { *p = v; return v; }
