/*
 * Files of /proc are memory that was made for the program: not memory that it
 * can make more of, past --mem.
 */
#include "hostile.h"

#define MIB (1l << 20)

int main(void)
{
	static const char *const files[] = {
		"/proc/self/stat", "/proc/self/status", "/proc/self/maps",
		"/proc/self/cmdline", "/proc/self/comm", "/proc/uptime",
		"/proc/self/oom_score_adj",
	};
	static const int how[] = { O_RDONLY, O_WRONLY, O_RDWR };
	static char page[PAGE];
	char path[64];

	page[0] = 1;
	for (unsigned int i = 0; i < sizeof(files) / sizeof(*files); i++)
		for (int k = 0; k < 3; k++) {
			int fd = open(files[i], how[k]), again;

			if (fd < 0)
				continue;
			if (ftruncate(fd, 512 * MIB) == 0 ||
			    fallocate(fd, 0, 0, 512 * MIB) == 0 ||
			    (pwrite(fd, page, PAGE, 512 * MIB) > 0 &&
			     lseek(fd, 0, SEEK_END) > 0))
				ESCAPED("%s grows", files[i]);
			snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
			again = open(path, O_RDWR);
			if (again >= 0 && ftruncate(again, 512 * MIB) == 0)
				ESCAPED("%s grows, opened again", files[i]);
			close(again);
			close(fd);
		}
	contained("their size is theirs");
	return 0;
}
