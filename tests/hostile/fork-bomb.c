/* Every process forks without end; the run has --procs 12 and --time. */
#include "hostile.h"

int main(void)
{
	volatile int *most = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	volatile int *alive = most + 1;
	pid_t me = getpid();
	int n;

	CHECK((void *)most != MAP_FAILED);
	*alive = 1;
	for (int i = 0; i < 40; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			n = __atomic_add_fetch(alive, 1, __ATOMIC_SEQ_CST);
			if (n > *most)
				*most = n;
		} else if (pid < 0) {
			CHECK(errno == EAGAIN);
			usleep(2000);
		}
	}
	if (getpid() != me) {
		usleep(200000);
		__atomic_sub_fetch(alive, 1, __ATOMIC_SEQ_CST);
		while (wait(NULL) > 0)
			;
		_exit(0);
	}
	while (wait(NULL) > 0)
		;
	if (*most > 13)
		ESCAPED("%d processes", *most);
	contained("no more than --procs");
	return 0;
}
