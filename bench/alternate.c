/*
 * Compares commands by running them by turns: A B, B A, A B ... so that
 * whatever else the machine does meets all of them alike.
 *
 *	alternate [OPTION]... WHO=COMMAND...
 *
 *	--table T --row R --unit U	go into the results as they are
 *	--wall		a sample is the wall time of the command, in ns
 *			(default: the median of the numbers that it prints)
 *	--scale X	multiplies every sample
 *	--rounds N	turns, default 5; --warmup N turns before, default 1
 *	--timeout S	for one run of one command, default 60
 *
 * A COMMAND is words between blanks; 'single quotes' keep blanks in a word.
 * Prints one JSON line for each WHO (bench/README.md); the i-th samples of all
 * are of the same turn. A command that fails, hangs or prints no number gets a
 * line that says so, and is not run again.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench/lib/harness.h"
#include "bench/lib/json.h"
#include "bench/lib/stats.h"

#define MAX_WHO 16
#define MAX_WORDS 64
#define MAX_ROUNDS 1000
#define MAX_NUMBERS 1000

extern char **environ;

struct contestant {
	const char *who;
	char *argv[MAX_WORDS + 1];
	double samples[MAX_ROUNDS];
	size_t n;
	char failed[200];	/* "" while it has not */
};

static struct contestant contestants[MAX_WHO];
static int count, wall, timeout = 60;
static double scale = 1;
static volatile sig_atomic_t timed_out;
static volatile pid_t running;	/* leads a process group of its own */

static void die(const char *what)
{
	fprintf(stderr, "alternate: %s; see the head of its source\n", what);
	exit(2);
}

static void on_alarm(int sig)
{
	(void)sig;
	timed_out = 1;
	if (running > 0)
		kill(-running, SIGKILL);
}

/* What we started must not outlive us. */
static void on_end(int sig)
{
	if (running > 0)
		kill(-running, SIGKILL);
	_exit(128 + sig);
}

static void split(struct contestant *c, char *p)
{
	int words = 0;

	while (*p) {
		if (*p == ' ') {
			p++;
			continue;
		}
		if (words == MAX_WORDS)
			die("a command of too many words");
		char end = *p == '\'' ? '\'' : ' ';

		p += end == '\'';
		c->argv[words++] = p;
		p = strchrnul(p, end);
		if (*p)
			*p++ = 0;
	}
	if (!words)
		die("an empty command");
}

static void __attribute__((format(printf, 2, 3)))
fail(struct contestant *c, const char *fmt, ...)
{
	va_list ap;

	if (*c->failed)
		return;
	va_start(ap, fmt);
	vsnprintf(c->failed, sizeof(c->failed), fmt, ap);
	va_end(ap);
}

/* The last line that a failed command wrote to stderr, or "". */
static const char *last_words(int err)
{
	static char text[4096];
	off_t size = lseek(err, 0, SEEK_END);
	off_t from = size > (off_t)sizeof(text) - 1 ?
		     size - (off_t)sizeof(text) + 1 : 0;
	ssize_t n = pread(err, text, sizeof(text) - 1, from);
	char *line;

	while (n > 0 && text[n - 1] == '\n')
		n--;
	text[n > 0 ? n : 0] = 0;
	line = strrchr(text, '\n');
	return line ? line + 1 : text;
}

static pid_t start(struct contestant *c, int out, int err)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none;
	pid_t pid;
	int rc;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, out, 1);
	posix_spawn_file_actions_adddup2(&files, err, 2);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP |
				 POSIX_SPAWN_SETSIGMASK);
	rc = posix_spawnp(&pid, c->argv[0], &files, &attr, c->argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	if (rc) {
		fail(c, "%s: %s", c->argv[0],
		     rc == ENOENT ? "not installed" : strerror(rc));
		return -1;
	}
	return pid;
}

/* The median of the numbers, one a line, that come through the pipe. */
static double read_numbers(struct contestant *c, int fd)
{
	double v[MAX_NUMBERS];
	char line[200], *end;
	FILE *f = fdopen(fd, "r");
	size_t n = 0;

	while (fgets(line, sizeof(line), f)) {
		double x = strtod(line, &end);

		if (end == line || *end != '\n')
			fail(c, "printed \"%.60s\", not a number",
			     strtok(line, "\n") ?: "");
		else if (n < MAX_NUMBERS)
			v[n++] = x;
	}
	fclose(f);
	if (!n)
		return -1;
	return bench_quantile(v, n, 0.5);
}

static void judge(struct contestant *c, int status, int err)
{
	const char *why = last_words(err);

	if (timed_out)
		fail(c, "still running after %d s", timeout);
	else if (WIFSIGNALED(status))
		fail(c, "killed by signal %d%s%s", WTERMSIG(status),
		     *why ? ": " : "", why);
	else if (WEXITSTATUS(status))
		fail(c, "status %d%s%s", WEXITSTATUS(status),
		     *why ? ": " : "", why);
}

/* One run; its sample counts if keep. */
static void turn(struct contestant *c, int keep)
{
	int out[2], err = memfd_create("stderr", MFD_CLOEXEC), status = 0;
	double sample = -1;
	int64_t t;

	if (err < 0 || pipe2(out, O_CLOEXEC))
		die(strerror(errno));
	if (wall) {
		close(out[1]);
		out[1] = open("/dev/null", O_WRONLY | O_CLOEXEC);
	}
	timed_out = 0;
	alarm(timeout);
	t = bench_now();
	running = start(c, out[1], err);
	close(out[1]);
	if (running > 0) {
		if (wall)
			close(out[0]);
		else
			sample = read_numbers(c, out[0]);
		while (waitpid(running, &status, 0) < 0 && errno == EINTR)
			;
		if (wall)
			sample = bench_now() - t;
		/* What it left behind in its group. */
		kill(-running, SIGKILL);
		judge(c, status, err);
		if (!*c->failed && sample < 0)
			fail(c, "printed no number");
	} else {
		close(out[0]);
	}
	alarm(0);
	running = 0;
	close(err);
	if (keep && !*c->failed)
		c->samples[c->n++] = sample * scale;
}

int main(int argc, char **argv)
{
	struct sigaction act = { .sa_handler = on_alarm };
	struct bench_id id = { "", "", "", "" };
	int rounds = 5, warmup = 1, all_failed = 1;

	for (int i = 1; i < argc; i++) {
		const char *o = argv[i];
		char *eq;

		if (strncmp(o, "--", 2)) {
			eq = strchr(argv[i], '=');
			if (!eq || count == MAX_WHO)
				die("no WHO=COMMAND, or too many");
			*eq = 0;
			contestants[count].who = argv[i];
			split(&contestants[count++], eq + 1);
			continue;
		}
		if (!strcmp(o, "--wall")) {
			wall = 1;
			continue;
		}
		if (++i == argc)
			die("an option without its value");
		if (!strcmp(o, "--table"))
			id.table = argv[i];
		else if (!strcmp(o, "--row"))
			id.row = argv[i];
		else if (!strcmp(o, "--unit"))
			id.unit = argv[i];
		else if (!strcmp(o, "--scale"))
			scale = atof(argv[i]);
		else if (!strcmp(o, "--rounds"))
			rounds = atoi(argv[i]);
		else if (!strcmp(o, "--warmup"))
			warmup = atoi(argv[i]);
		else if (!strcmp(o, "--timeout"))
			timeout = atoi(argv[i]);
		else
			die("an unknown option");
	}
	if (!count || rounds < 1 || rounds > MAX_ROUNDS || timeout < 1)
		die("nothing to compare");

	sigaction(SIGALRM, &act, NULL);
	act.sa_handler = on_end;
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGHUP, &act, NULL);
	for (int r = -warmup; r < rounds; r++)
		for (int i = 0; i < count; i++) {
			/* Odd turns go backwards. */
			int k = r & 1 ? count - 1 - i : i;

			if (!*contestants[k].failed)
				turn(&contestants[k], r >= 0);
		}
	for (int i = 0; i < count; i++) {
		struct contestant *c = &contestants[i];

		id.who = c->who;
		all_failed &= !!*c->failed;
		bench_json_line(stdout, &id, c->samples, c->n,
				*c->failed ? c->failed : NULL);
	}
	return all_failed;
}
