/*
 * A byte goes to another process and back, 250 times: of four calls two sleep
 * for the other one. For counting what that wakes.
 */
#include "guest.h"

#define TURNS 250

static void hand_back(int from, int to)
{
	char c;

	while (read(from, &c, 1) == 1)
		CHECK(write(to, &c, 1) == 1);
	_exit(0);
}

int main(void)
{
	int there[2], back[2], status;
	pid_t pid;
	char c = 1;

	CHECK(!pipe(there) && !pipe(back));
	pid = fork();
	if (!pid) {
		close(there[1]);
		hand_back(there[0], back[1]);
	}
	for (int i = 0; i < TURNS; i++)
		CHECK(write(there[1], &c, 1) == 1 && read(back[0], &c, 1) == 1);
	close(there[1]);
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	say("all turns taken\n");
	return 0;
}
