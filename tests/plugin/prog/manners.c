/*
 * What the application does not notice: children, signals, descriptors, CPU
 * time of sandboxes that wait.
 */
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

static FILE *of_task(pid_t pid, const char *tid, const char *file)
{
	char path[400];

	snprintf(path, sizeof(path), "/proc/%d/task/%s/%s", pid, tid, file);
	return fopen(path, "r");
}

/* CPU time of a process and of all that it has started, in ns. */
static uint64_t cpu_time(pid_t pid, int *processes)
{
	char path[64];
	uint64_t sum = 0;
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		FILE *stat = of_task(pid, e->d_name, "schedstat");
		FILE *list = of_task(pid, e->d_name, "children");
		unsigned long ns;
		int child;

		if (stat && fscanf(stat, "%lu", &ns) == 1)
			sum += ns;
		while (list && fscanf(list, "%d", &child) == 1)
			sum += cpu_time(child, processes);
		if (stat)
			fclose(stat);
		if (list)
			fclose(list);
	}
	if (d)
		closedir(d);
	++*processes;
	return sum;
}

/* After calls that came fast: who looks for the next one stops to look. */
static void idle_sandboxes(void)
{
	struct dune_sandbox *box[4];
	const struct timespec wait = { .tv_nsec = 100000000 };
	uint64_t used = UINT64_MAX, before;
	int i, k, v, processes = 0;

	for (i = 0; i < 4; i++) {
		box[i] = make(OPTIONS(0));
		load(box[i], "good");
		for (k = 0; k < 300; k++)
			MUST(call_by_name(box[i], "nop", 3, &v));
	}
	/* one that went on would use it all; what else is to do has an end */
	for (i = 0; i < 100 && used > 50000000; i++) {
		before = cpu_time(getpid(), &processes);
		nanosleep(&wait, NULL);
		used = cpu_time(getpid(), &processes) - before;
	}
	CHECK(used <= 50000000);
	/* where the kernel lists children */
	CHECK(processes == 2 * i || processes > 8 * i);
	for (i = 0; i < 4; i++)
		dune_sandbox_destroy(box[i]);
}

int main(int argc, char **argv)
{
	struct dune_sandbox_options bad = OPTIONS(.callers = 99);
	struct dune_sandbox *box;
	struct dune_object *object;
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

	idle_sandboxes();

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
	bad = OPTIONS(.reserved = 1);
	IS(dune_sandbox_create(engine, &bad, &box), -EINVAL);
	bad.size = 0;
	IS(dune_sandbox_create(engine, &bad, &box), -EINVAL);

	/* what it may not read */
	box = make(OPTIONS(.policy = ""));
	IS(try_load(box, "good", &object), -ENOEXEC);
	CHECK(strstr(dune_errmsg(), "option policy"));
	return end();
}
