/*
 * Devices every program may use and the caller's files on descriptors 0, 1
 * and 2 can be written, but their mode, owner and times stay as they are.
 */
#include "hostile.h"
#include <sys/time.h>

static void try_all(int fd, const char *what)
{
	struct stat before, after;
	const struct timespec epoch[2] = { { 1, 0 }, { 1, 0 } };

	if (fstat(fd, &before) < 0)
		return;
	fchmod(fd, 0);
	fchown(fd, 1, 1);
	futimens(fd, epoch);
	fstat(fd, &after);
	if (before.st_mode != after.st_mode || before.st_uid != after.st_uid ||
	    before.st_mtim.tv_sec != after.st_mtim.tv_sec)
		ESCAPED("metadata of %s", what);
}

int main(void)
{
	int fd = open("/dev/null", O_RDWR);

	try_all(fd, "/dev/null");
	try_all(0, "descriptor 0");
	try_all(1, "descriptor 1");
	try_all(2, "descriptor 2");
	chmod("/dev/zero", 0);
	chmod("/dev/tty", 0);
	try_all(open("/dev/zero", O_RDONLY), "/dev/zero");
	contained("metadata");
	return 0;
}
