/* What the application does not notice: children, signals, descriptors. */
#include <dirent.h>
#include <signal.h>

#include "tests/plugin/plugin.h"

static volatile sig_atomic_t children;
static void on_child(int sig) { (void)sig; children++; }

static int descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void session(void)
{
	struct dune_sandbox *box = make(OPTIONS(0)), *c;
	struct dune_buffer *b;
	dune_addr a;
	int v;

	load(box, "bad");
	MUST(dune_buffer_create(engine, 4096, DUNE_SHARE_READ, &b));
	MUST(dune_sandbox_share(box, b, &a));
	MUST(dune_sandbox_snapshot(box));
	IS(call_by_name(box, "read_null", 0, &v), -EFAULT);
	MUST(dune_sandbox_clone(box, &c));
	MUST(dune_sandbox_reset(box));
	IS(call_by_name(box, "exits", 0, &v), -ECHILD);
	IS(waitpid(-1, NULL, WNOHANG), -1);
	IS(errno, ECHILD);
	dune_sandbox_destroy(c);
	dune_sandbox_destroy(box);
	dune_buffer_destroy(b);
}

int main(int argc, char **argv)
{
	struct dune_sandbox_options bad = OPTIONS(.callers = 99);
	struct dune_sandbox *box;
	int before, i, status;
	pid_t pid;

	signal(SIGCHLD, on_child);
	signal(SIGPIPE, SIG_IGN);
	before = descriptors();
	for (i = 0; i < 3; i++) {
		begin(argc, argv);
		session();
		IS(end(), 0);
	}
	IS(descriptors(), before);
	IS(children, 0);
	IS(waitpid(-1, NULL, 0), -1);
	IS(errno, ECHILD);

	/* an application's children are its own, and forking does no harm */
	begin(argc, argv);
	box = make(OPTIONS(0));
	load(box, "good");
	pid = fork();
	if (pid == 0)
		_exit(7);
	IS(waitpid(-1, &status, 0), pid);
	IS(WEXITSTATUS(status), 7);
	IS(children, 1);
	MUST(call_by_name(box, "nop", 3, &i));
	IS(i, 3);

	/* options */
	IS(dune_sandbox_create(engine, &bad, &box), -EINVAL);
	CHECK(strstr(dune_errmsg(), "callers"));
	bad = OPTIONS(.policy = "ro /no/such/path\n");
	IS(dune_sandbox_create(engine, &bad, &box), -EINVAL);
	CHECK(strstr(dune_errmsg(), "/no/such/path"));
	bad = OPTIONS(.policy = "allow no_such_call\n");
	IS(dune_sandbox_create(engine, &bad, &box), -EINVAL);
	CHECK(strstr(dune_errmsg(), "no_such_call"));
	bad = OPTIONS(.policy_file = "/no/such/file");
	IS(dune_sandbox_create(engine, &bad, &box), -EINVAL);
	bad = OPTIONS(.output = 999);
	IS(dune_sandbox_create(engine, &bad, &box), -EINVAL);
	bad = OPTIONS(.flags = 1u << 30);
	IS(dune_sandbox_create(engine, &bad, &box), -EINVAL);
	bad.size = 0;
	IS(dune_sandbox_create(engine, &bad, &box), -EINVAL);
	return end();
}
