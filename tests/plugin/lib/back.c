/* A plugin that calls back. */
#include <stdint.h>

int host_add(int a, int b);
double host_mix(float a, double b, int c, long d, double e);
void host_note(const char *text);
int host_again(int depth);
long host_many(long a, long b, long c, long d, long e, long f, long g, long h,
	       double x);

int use_add(int a) { return host_add(a, 10) * 2; }
double use_mix(int a) { return host_mix(a + 0.5f, 2.25, -3, 1l << 40, 0.125); }
long use_many(int a) { return host_many(1, 2, 3, 4, 5, 6, 7, a, 0.5); }
void use_note(void) { host_note("noted"); }
int again(int depth) { return depth ? host_again(depth - 1) + 1 : 0; }
int through(int (*fn)(int, int), int a) { return fn(a, 1); }

static int state;

int fails_in(int a)
{
	state = 1;
	a = host_add(a, 0);
	state = 2;
	return a;
}

int get_state(int x) { return state + x; }
