/* Threads until no more are given; the process must survive and end. */
#include "hostile.h"

static int fds[2];

static void *body(void *arg)
{
	char c;

	CHECK(read(fds[0], &c, 1) == 0);
	return arg;
}

int main(void)
{
	static pthread_t t[1200];
	pthread_attr_t a;
	int n = 0, r = 0;

	CHECK(pipe(fds) == 0);
	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 32768);
	while (n < 1200 && (r = pthread_create(&t[n], &a, body, NULL)) == 0)
		n++;
	if (n < 16)
		ESCAPED("only %d threads: %s", n, strerror(r));
	close(fds[1]);
	for (int i = 0; i < n; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
	CHECK(pthread_create(&t[0], &a, body, NULL) == 0);
	CHECK(pthread_join(t[0], NULL) == 0);
	contained("threads up to a limit");
	say("# %d threads\n", n);
	return 0;
}
