/*
 * A server in compartments: who parses what strangers send never sees the
 * passwords, and who sees them gets a name and an answer only. The third
 * request is an attack on the parser, which has a hole.
 */
#include "wedge.h"

#include <dune.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OWNED	"OWNED "

/* Two tags: what parser and checker share, and what only the checker sees. */
struct request {
	char name[32], password[32];
};

struct secrets {
	struct {
		char name[32], password[32];
	} user[2];
};

struct parse {
	int fd;
	struct request *out;
	const struct secrets *target;	/* what an attacker would know */
};

struct check {
	const struct request *in;
	const struct secrets *secrets;
};

/* ---- in an sthread with: fd to read, the request's tag ---- */

/* What the attacker's code does: all of it must fail. */
static void *attack(const struct parse *p)
{
	const char *file = (const char *)p->out;	/* any string */
	long got = 0;

	got += sthread_call(SYS_write, 1, (long)p->out, 8) > 0;
	got += sthread_call(SYS_open, (long)file, 0, 0) >= 0;
	got += sthread_call(SYS_getpid, 0, 0, 0) > 0;
	got += sthread_call(SYS_read, p->fd, (long)p->target, 8) > 0;
	if (got)
		return (void *)got;
	return (void *)(long)p->target->user[0].password[0];
}

static void *parser(void *arg)
{
	const struct parse *p = arg;
	char line[64];
	long n = sthread_call(SYS_read, p->fd, (long)line, sizeof(line) - 1);
	char *space, *end;

	if (n <= 0)
		return NULL;
	line[n] = '\0';
	if (!strncmp(line, OWNED, strlen(OWNED)))
		return attack(p);
	space = strchr(line, ' ');
	end = strchr(line, '\n');
	if (!space || !end || space - line > 31 || end - space > 31)
		return NULL;
	*space = *end = '\0';
	strcpy(p->out->name, line);
	strcpy(p->out->password, space + 1);
	return p->out;
}

/* ---- in an sthread with: the request's tag, the secrets' tag to read ---- */

static void *checker(void *arg)
{
	const struct check *c = arg;
	unsigned int i;

	for (i = 0; i < 2; i++)
		if (!strncmp(c->in->name, c->secrets->user[i].name, 32) &&
		    !strncmp(c->in->password, c->secrets->user[i].password, 32))
			return (void *)1;
	return NULL;
}

/* ---- the master ---- */

static const char *run(const sc_t *sc, void *(*fn)(void *), void *arg,
		       void **ret)
{
	static char line[80];
	const struct sthread_trap *trap;
	sthread_t st;
	int r = sthread_create(&st, sc, fn, arg);

	if (r)
		return strerror(-r);
	trap = sthread_trapped(st);
	if (trap)
		snprintf(line, sizeof(line), "ended by vector %u",
			 trap->vector);
	return sthread_join(st, ret) ? line : NULL;
}

static const char *serve(int fd, tag_t shared, tag_t hidden,
			 const struct secrets *secrets)
{
	struct parse *p = smalloc(shared, sizeof(*p));
	struct check *c = smalloc(shared, sizeof(*c));
	struct request *req = smalloc(shared, sizeof(*req));
	const char *failed;
	void *ret;
	sc_t sc;

	*p = (struct parse){ fd, req, secrets };
	sc_init(&sc);
	sc_mem_add(&sc, shared, PROT_READ | PROT_WRITE);
	sc_fd_add(&sc, fd, FD_R);
	failed = run(&sc, parser, p, &ret);
	if (failed || ret != req)
		return failed ? failed : "not a request";

	*c = (struct check){ req, secrets };
	sc_init(&sc);
	sc_mem_add(&sc, shared, PROT_READ);
	sc_mem_add(&sc, hidden, PROT_READ);
	failed = run(&sc, checker, c, &ret);
	return failed ? failed : ret ? "welcome" : "wrong password";
}

int main(void)
{
	static const char *const requests[][2] = {
		{ "alice swordfish\n", "welcome" },
		{ "bob letmein\n", "wrong password" },
		{ OWNED "let me see\n", "ended by vector 14" },
		{ "bob hunter2\n", "welcome" },
	};
	struct secrets *secrets;
	tag_t shared, hidden;
	unsigned int i, wrong = 0;
	int fd[2];

	if (sthread_init()) {
		fprintf(stderr, "wedge-demo: %s\n", dune_errmsg());
		return 1;
	}
	shared = tag_new();
	hidden = tag_new();
	if (!shared || !hidden || pipe(fd))
		return 1;
	secrets = smalloc(hidden, sizeof(*secrets));
	*secrets = (struct secrets) {
		{ { "alice", "swordfish" }, { "bob", "hunter2" } },
	};
	for (i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		const char *said;

		if (write(fd[1], requests[i][0], strlen(requests[i][0])) < 0)
			return 1;
		said = serve(fd[0], shared, hidden, secrets);
		printf("%.*s: %s\n", (int)strcspn(requests[i][0], "\n"),
		       requests[i][0], said);
		wrong += strcmp(said, requests[i][1]) != 0;
	}
	return wrong != 0;
}
