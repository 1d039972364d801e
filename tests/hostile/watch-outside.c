/*
 * What happens to files outside is nobody's business: no watch there.
 * Arguments: a directory outside, one to read.
 */
#include <sys/inotify.h>
#include "hostile.h"

int main(int argc, char **argv)
{
	static const char *const shut[] = { "/", "/home", "/root", "/tmp",
					    "/var/run", "/proc/self/root" };
	int in = inotify_init1(IN_NONBLOCK), fd;
	char path[256];

	CHECK(argc == 3 && in >= 0);
	CHECK(inotify_add_watch(in, argv[2], IN_ALL_EVENTS) >= 0);
	for (unsigned int i = 0; i < sizeof(shut) / sizeof(*shut); i++)
		REFUSED(shut[i], inotify_add_watch(in, shut[i], IN_OPEN));
	REFUSED("outside", inotify_add_watch(in, argv[1], IN_ALL_EVENTS));
	REFUSED("outside, not followed",
		inotify_add_watch(in, argv[1], IN_OPEN | IN_DONT_FOLLOW));
	snprintf(path, sizeof(path), "%s/../out/file", argv[2]);
	REFUSED("a file there", inotify_add_watch(in, path, IN_OPEN));
	fd = open(argv[1], O_PATH);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd >= 0)
		REFUSED("by a descriptor", inotify_add_watch(in, path,
							     IN_OPEN));
	contained("watches where it may read");
	return 0;
}
