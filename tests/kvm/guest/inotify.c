/*
 * inotify: creations, writes, renames and deletions in a directory arrive in
 * order, with names and cookies.
 */
#include <sys/inotify.h>
#include "guest.h"

static const char *name(uint32_t mask)
{
	switch (mask & ~IN_ISDIR) {
	case IN_CREATE: return "create";
	case IN_MODIFY: return "modify";
	case IN_CLOSE_WRITE: return "close";
	case IN_MOVED_FROM: return "from";
	case IN_MOVED_TO: return "to";
	case IN_DELETE: return "delete";
	case IN_IGNORED: return "ignored";
	default: return "other";
	}
}

int main(int argc, char **argv)
{
	char buf[4096] __attribute__((aligned(8)));
	uint32_t cookie = 0;
	ssize_t n;
	int in, wd, fd;

	enter_dir(argc, argv);
	CHECK(mkdir("watched", 0700) == 0);
	in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	CHECK(in >= 0);
	wd = inotify_add_watch(in, "watched", IN_CREATE | IN_MODIFY |
			       IN_CLOSE_WRITE | IN_MOVE | IN_DELETE);
	CHECK(wd >= 0);
	FAILS(ENOENT, inotify_add_watch(in, "missing", IN_CREATE));
	FAILS(EAGAIN, read(in, buf, sizeof(buf)));
	fd = open("watched/f", O_CREAT | O_WRONLY, 0600);
	CHECK(write(fd, "x", 1) == 1 && close(fd) == 0);
	CHECK(rename("watched/f", "watched/g") == 0);
	CHECK(unlink("watched/g") == 0);
	CHECK(inotify_rm_watch(in, wd) == 0);
	n = read(in, buf, sizeof(buf));
	for (char *p = buf; p < buf + n; ) {
		struct inotify_event *e = (void *)p;

		say("%s %s\n", name(e->mask), e->len ? e->name : "-");
		if (e->mask & IN_MOVED_FROM)
			cookie = e->cookie;
		if (e->mask & IN_MOVED_TO)
			CHECK(e->cookie == cookie && cookie);
		p += sizeof(*e) + e->len;
	}
	return 0;
}
