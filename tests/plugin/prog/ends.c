/*
 * How plugins end, what is reported, and that the sandbox comes back; with a
 * snapshot, so that each begins from the same state.
 */
#include <pthread.h>
#include <signal.h>

#include "tests/plugin/plugin.h"

static const struct end {
	const char *function;
	int arg;
	int error;
	enum dune_cause cause;
	int number;		/* signal or status */
	const char *text;	/* in the report */
} ends[] = {
	{ "read_null", 4, -EFAULT, DUNE_CAUSE_FAULT, SIGSEGV, "read_null" },
	{ "write_code", 1, -EFAULT, DUNE_CAUSE_FAULT, SIGSEGV, "write_code" },
	{ "jump_nowhere", 1, -EFAULT, DUNE_CAUSE_FAULT, SIGSEGV, "123456" },
	{ "jump_data", 1, -EFAULT, DUNE_CAUSE_FAULT, SIGSEGV, "bad.so" },
	{ "divide", 1, -EFAULT, DUNE_CAUSE_FAULT, SIGFPE, "divide" },
	{ "illegal", 1, -EFAULT, DUNE_CAUSE_FAULT, SIGILL, "illegal" },
	{ "privileged", 1, -EFAULT, DUNE_CAUSE_FAULT, SIGSEGV, "privileged" },
	{ "aborts", 1, -EFAULT, DUNE_CAUSE_FAULT, SIGABRT, "aborts" },
	{ "overflow", 1, -EFAULT, DUNE_CAUSE_FAULT, SIGSEGV, "overflow" },
	{ "terminates", 1, -EFAULT, DUNE_CAUSE_FAULT, SIGTERM, "" },
	{ "ignores", 4, -EFAULT, DUNE_CAUSE_FAULT, SIGSEGV, "read_null" },
	{ "exits", 7, -ECHILD, DUNE_CAUSE_EXIT, 7, "" },
	{ "exits_fast", 125, -ECHILD, DUNE_CAUSE_EXIT, 125, "" },
	{ "opens", 1, -EPERM, DUNE_CAUSE_VIOLATION, 0, "openat" },
	{ "sockets", 1, -EPERM, DUNE_CAUSE_VIOLATION, 0, "socket" },
	{ "executes", 1, -EPERM, DUNE_CAUSE_VIOLATION, 0, "execve" },
	{ "vforks", 1, -EPERM, DUNE_CAUSE_VIOLATION, 0, "vfork" },
	{ "kills_parent", 1, -EPERM, DUNE_CAUSE_VIOLATION, 0, "getppid" },
	{ "kills_self", 1, -ECANCELED, DUNE_CAUSE_KILLED, 0, "" },
	{ "spins", 1, -ETIMEDOUT, DUNE_CAUSE_WALL_TIME, 0, "" },
	{ "sleeps", 1, -ETIMEDOUT, DUNE_CAUSE_WALL_TIME, 0, "" },
	{ "calls_spin", 1, -ETIMEDOUT, DUNE_CAUSE_WALL_TIME, 0, "" },
	{ "stops", 1, -ETIMEDOUT, DUNE_CAUSE_WALL_TIME, 0, "" },
	{ "catches", 4, -ETIMEDOUT, DUNE_CAUSE_WALL_TIME, 0, "" },
};

static void one(struct dune_sandbox *box, const struct end *e)
{
	struct dune_report r;
	int failed = failures, i = 0;

	IS(call_by_name(box, e->function, e->arg, &i), e->error);
	r = report_of(box);
	IS(r.cause, e->cause);
	IS(r.error, e->error);
	IS(e->cause == DUNE_CAUSE_EXIT ? r.status : r.signal, e->number);
	CHECK(strstr(r.text, e->text));
	IS(call_by_name(box, e->function, e->arg, &i), -ESTALE);
	IS(dune_sandbox_snapshot(box), -ESTALE);
	if (!strcmp(e->function, "read_null")) {
		IS(r.address.v, 16);
		CHECK(r.pc.v != 0);
		CHECK(strstr(r.text, "bad.so"));
		CHECK(strstr(r.text, "calls: "));
	}
	if (failures != failed)
		printf("in %s:\n%s", e->function, r.text);
	MUST(dune_sandbox_reset(box));
	IS(report_of(box).cause, DUNE_CAUSE_NONE);
}

static struct dune_sandbox *target;

static void on_alarm(int sig)
{
	(void)sig;
	dune_sandbox_kill(target);
}

static void *killer(void *arg)
{
	usleep(50000);
	dune_sandbox_kill(arg);
	return NULL;
}

static void kills(struct dune_sandbox *box)
{
	pthread_t t;
	int i = 0;

	pthread_create(&t, NULL, killer, box);
	IS(call_by_name(box, "spins", 1, &i), -ECANCELED);
	pthread_join(t, NULL);
	MUST(dune_sandbox_reset(box));
	target = box;
	signal(SIGALRM, on_alarm);
	ualarm(50000, 0);
	IS(call_by_name(box, "sleeps", 1, &i), -ECANCELED);
	IS(report_of(box).cause, DUNE_CAUSE_KILLED);
	MUST(dune_sandbox_reset(box));
	/* one that nobody is in */
	dune_sandbox_kill(box);
	while (report_of(box).cause == DUNE_CAUSE_NONE)
		usleep(1000);
	IS(call_by_name(box, "forks", 1, &i), -ESTALE);
	MUST(dune_sandbox_reset(box));
	/* what a thread does after the call has returned */
	MUST(call_by_name(box, "later", 3, &i));
	IS(i, 3);
	while (report_of(box).cause == DUNE_CAUSE_NONE)
		usleep(1000);
	IS(report_of(box).cause, DUNE_CAUSE_VIOLATION);
	MUST(dune_sandbox_reset(box));
}

static void limits(void)
{
	struct dune_sandbox *box = make(OPTIONS(.memory = 256ul << 20,
						 .threads = 10,
						 .cpu_ns = 200000000));
	int i = 0;

	load(box, "bad");
	MUST(dune_sandbox_snapshot(box));
	/* also while a spare is being forked of the snapshot */
	for (int n = 0; n < 5; n++) {
		MUST(call_by_name(box, "forks_often", 300, &i));
		IS(i, 0);
		MUST(dune_sandbox_reset(box));
	}
	MUST(call_by_name(box, "eats_threads", 0, &i));
	IS(i, 10);
	MUST(dune_sandbox_reset(box));
	IS(call_by_name(box, "spins", 0, &i), -ETIMEDOUT);
	IS(report_of(box).cause, DUNE_CAUSE_CPU_TIME);
	dune_sandbox_destroy(box);
	box = make(OPTIONS(.memory = 256ul << 20));
	load(box, "bad");
	MUST(call_by_name(box, "eats_memory", 1, &i));
	if (i < 64 || i > 256)
		IS(i, 256);
	dune_sandbox_destroy(box);
}

int main(int argc, char **argv)
{
	struct dune_sandbox *box;
	size_t i;

	begin(argc, argv);
	box = make(OPTIONS(.wall_ns = 1000000000));
	load(box, "bad");
	MUST(dune_sandbox_snapshot(box));
	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (argc < 3 || !strcmp(argv[2], ends[i].function))
			one(box, &ends[i]);
	if (argc < 3) {
		dune_sandbox_destroy(box);
		box = make(OPTIONS(0));
		load(box, "bad");
		MUST(dune_sandbox_snapshot(box));
		kills(box);
		limits();
	}
	return end();
}
