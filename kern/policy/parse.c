/* From options and policy files to a policy. Pure but for `add`. */
#include "kern/policy/policy.h"

#include <errno.h>
#include <limits.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include "kern/err.h"
#include "kern/policy/internal.h"
#include "kern/sys/sys.h"
#include "kern/types.h"

/* A line holds a keyword and at most one path or NAME=VALUE. */
#define LINE_SIZE (PATH_MAX + 64)

/* Decimal digits only: no sign, no space, no overflow. NULL: not a number. */
static const char *number(const char *s, uint64_t *value)
{
	const char *start = s;

	*value = 0;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (__builtin_mul_overflow(*value, 10, value) ||
		    __builtin_add_overflow(*value, *s - '0', value))
			return NULL;
	}
	return s == start ? NULL : s;
}

static int whole(const char *s, uint64_t max, uint64_t *value)
{
	uint64_t n;
	const char *end = number(s, &n);

	if (!end || *end || n > max)
		return dune_err(-EINVAL, "%s: not a number from 0 to %lu", s,
				(unsigned long)max);
	*value = n;
	return 0;
}

int dune_policy_size(const char *s, uint64_t *bytes)
{
	static const char units[] = "KkMmGgTt";
	uint64_t n;
	const char *end = number(s, &n), *unit;
	int shift = 0;

	if (end && *end) {
		unit = strchr(units, *end);
		if (unit && end[1] == '\0')
			shift = 10 * ((unit - units) / 2 + 1);
		else
			end = NULL;
	}
	if (!end || n > UINT64_MAX >> shift)
		return dune_err(-EINVAL, "%s: not a size; write a number, "
				"with K, M, G or T for powers of 1024", s);
	*bytes = n << shift;
	return 0;
}

/* "1.5" -> nanoseconds; digits beyond the ninth are dropped. */
static int seconds(const char *s, uint64_t *ns)
{
	uint64_t unit = 1000000000, n;
	const char *end = number(s, &n);
	bool bad = !end || __builtin_mul_overflow(n, unit, &n);

	if (!bad && *end == '.') {
		for (end++; *end >= '0' && *end <= '9'; end++) {
			unit /= 10;
			bad |= __builtin_add_overflow(
				n, unit * (*end - '0'), &n);
		}
	}
	/* a deadline is the clock plus this: leave room for the sum */
	if (bad || *end || n > INT64_MAX)
		return dune_err(-EINVAL, "%s: not a time; write seconds, "
				"such as 10 or 0.5", s);
	*ns = n;
	return 0;
}

int dune_policy_syscalls(struct dune_policy *p, const char *list, bool allow)
{
	uint8_t *bits = allow ? p->allow : p->deny;
	char name[64];

	for (const char *s = list;; s++) {
		size_t len = strcspn(s, ",");
		int nr = -1;

		if (len > 0 && len < sizeof(name)) {
			memcpy(name, s, len);
			name[len] = '\0';
			nr = seccomp_syscall_resolve_name_arch(
				SCMP_ARCH_X86_64, name);
		}
		if (nr < 0 || nr >= 512)
			return dune_err(-EINVAL, "%.*s: no system call of "
					"x86-64; see syscalls(2) for names",
					(int)(len < 64 ? len : 64), s);
		if (allow && dune_systable[nr].action == DUNE_DO_REFUSE)
			return dune_err(-EINVAL, "%s: refused to every "
					"program; it cannot be allowed", name);
		bits[nr / 8] |= 1 << nr % 8;
		s += len;
		if (!*s)
			return 0;
	}
}

static int set_ro(struct dune_policy *p, const char *arg,
		  dune_policy_add_fn *add)
{
	return add(p, arg, false);
}

static int set_rw(struct dune_policy *p, const char *arg,
		  dune_policy_add_fn *add)
{
	return add(p, arg, true);
}

static int set_env(struct dune_policy *p, const char *arg,
		   dune_policy_add_fn *add)
{
	int err;

	(void)add;
	if (arg[0] == '=')
		return dune_err(-EINVAL, "%s: no name; write NAME=VALUE, or "
				"NAME to pass it on", arg);
	if (p->envs == DUNE_POLICY_ENVS)
		return dune_err(-E2BIG, "%s: more than %d variables; export "
				"them instead, they are inherited", arg,
				DUNE_POLICY_ENVS);
	err = dune_policy_store(p, arg, &p->env[p->envs]);
	if (!err)
		p->envs++;
	return err;
}

static int set_cwd(struct dune_policy *p, const char *arg,
		   dune_policy_add_fn *add)
{
	(void)add;
	return dune_policy_store(p, arg, &p->cwd);
}

static int nonzero(int err, const uint64_t *value, const char *arg)
{
	if (!err && *value == 0)
		return dune_err(-EINVAL, "%s: would not let the program "
				"start; use more, or leave it out for no "
				"limit", arg);
	return err;
}

static int set_mem(struct dune_policy *p, const char *arg,
		   dune_policy_add_fn *add)
{
	(void)add;
	return nonzero(dune_policy_size(arg, &p->mem), &p->mem, arg);
}

static int set_time(struct dune_policy *p, const char *arg,
		    dune_policy_add_fn *add)
{
	(void)add;
	return nonzero(seconds(arg, &p->wall_ns), &p->wall_ns, arg);
}

static int set_cpu_time(struct dune_policy *p, const char *arg,
			dune_policy_add_fn *add)
{
	(void)add;
	/* the kernel counts whole seconds, and multiplies them by 10^9 */
	return nonzero(whole(arg, UINT32_MAX, &p->cpu_seconds),
		       &p->cpu_seconds, arg);
}

static int set_procs(struct dune_policy *p, const char *arg,
		     dune_policy_add_fn *add)
{
	uint64_t n;
	int err = nonzero(whole(arg, 1 << 22, &n), &n, arg);

	(void)add;
	if (!err)
		p->procs = n;
	return err;
}

static int set_fsize(struct dune_policy *p, const char *arg,
		     dune_policy_add_fn *add)
{
	(void)add;
	return dune_policy_size(arg, &p->fsize);
}

static int set_allow(struct dune_policy *p, const char *arg,
		     dune_policy_add_fn *add)
{
	(void)add;
	return dune_policy_syscalls(p, arg, true);
}

static int set_deny(struct dune_policy *p, const char *arg,
		    dune_policy_add_fn *add)
{
	(void)add;
	return dune_policy_syscalls(p, arg, false);
}

static int set_fd(struct dune_policy *p, const char *arg,
		  dune_policy_add_fn *add)
{
	uint64_t fd;
	int err = whole(arg, DUNE_POLICY_FDS - 1, &fd);

	(void)add;
	if (!err)
		p->keep_fds[fd] = true;
	return err;
}

/* enum dune_exitless and enum dune_rewrite */
static int when(const char *arg, uint8_t *to)
{
	static const char *const words[] = { "auto", "off", "on" };

	for (size_t i = 0; i < DUNE_ARRAY_SIZE(words); i++)
		if (strcmp(words[i], arg) == 0) {
			*to = i;
			return 0;
		}
	return dune_err(-EINVAL, "%.64s: write auto, off or on", arg);
}

static int set_exitless(struct dune_policy *p, const char *arg,
			dune_policy_add_fn *add)
{
	(void)add;
	return when(arg, &p->exitless);
}

static int set_rewrite(struct dune_policy *p, const char *arg,
		       dune_policy_add_fn *add)
{
	(void)add;
	return when(arg, &p->rewrite);
}

static int set_trace(struct dune_policy *p, const char *arg,
		     dune_policy_add_fn *add)
{
	(void)add;
	p->trace = true;
	return arg ? dune_policy_store(p, arg, &p->trace_file) : 0;
}

enum { ARG_NONE, ARG_ONE, ARG_MAYBE };

static const struct keyword {
	const char *name;
	int arg;
	/* with ARG_NONE: this flag is set instead */
	size_t flag;
	int (*set)(struct dune_policy *p, const char *arg,
		   dune_policy_add_fn *add);
} keywords[] = {
	{ .name = "ro", ARG_ONE, .set = set_ro },
	{ .name = "rw", ARG_ONE, .set = set_rw },
	{ .name = "net", .flag = offsetof(struct dune_policy, net) },
	{ .name = "env", ARG_ONE, .set = set_env },
	{ .name = "clearenv", .flag = offsetof(struct dune_policy, clearenv) },
	{ .name = "cwd", ARG_ONE, .set = set_cwd },
	{ .name = "mem", ARG_ONE, .set = set_mem },
	{ .name = "time", ARG_ONE, .set = set_time },
	{ .name = "cpu-time", ARG_ONE, .set = set_cpu_time },
	{ .name = "procs", ARG_ONE, .set = set_procs },
	{ .name = "fsize", ARG_ONE, .set = set_fsize },
	{ .name = "allow", ARG_ONE, .set = set_allow },
	{ .name = "deny", ARG_ONE, .set = set_deny },
	{ .name = "fd", ARG_ONE, .set = set_fd },
	{ .name = "exitless", ARG_ONE, .set = set_exitless },
	{ .name = "rewrite", ARG_ONE, .set = set_rewrite },
	{ .name = "stat", .flag = offsetof(struct dune_policy, stat) },
	{ .name = "trace", ARG_MAYBE, .set = set_trace },
	{ .name = "report", .flag = offsetof(struct dune_policy, report) },
};

/* Prefixes the message of a failed call. */
static int named(int err, const char *what)
{
	char why[DUNE_ERR_MAX];

	strcpy(why, dune_errmsg());
	return dune_err(err, "%s: %s", what, why);
}

int dune_policy_set(struct dune_policy *p, const char *keyword,
		    const char *arg, dune_policy_add_fn *add)
{
	for (size_t i = 0; i < DUNE_ARRAY_SIZE(keywords); i++) {
		const struct keyword *k = &keywords[i];
		int err;

		if (strcmp(k->name, keyword) != 0)
			continue;
		if (arg && k->arg == ARG_NONE)
			return dune_err(-EINVAL, "%s: takes no argument; "
					"leave out \"%.64s\"", keyword, arg);
		if ((!arg || !*arg) && k->arg == ARG_ONE)
			return dune_err(-EINVAL, "%s: needs an argument; see "
					"dune-policy(5)", keyword);
		if (k->arg == ARG_NONE) {
			*((bool *)((char *)p + k->flag)) = true;
			return 0;
		}
		err = k->set(p, arg, add);
		return err ? named(err, keyword) : 0;
	}
	return dune_err(-EINVAL, "%.64s: unknown keyword; dune-policy(5) "
			"lists them", keyword);
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* One line without its newline, NUL-ended, to be cut to pieces. */
static int parse_line(struct dune_policy *p, char *line,
		      dune_policy_add_fn *add)
{
	char *end = line + strlen(line), *arg;

	while (blank(*line))
		line++;
	while (end > line && blank(end[-1]))
		*--end = '\0';
	if (*line == '\0' || *line == '#')
		return 0;
	arg = line + strcspn(line, " \t");
	while (blank(*arg))
		*arg++ = '\0';
	return dune_policy_set(p, line, *arg ? arg : NULL, add);
}

int dune_policy_parse(struct dune_policy *p, const char *name,
		      const char *text, size_t len, dune_policy_add_fn *add)
{
	char line[LINE_SIZE], why[DUNE_ERR_MAX];
	const char *end = text + len;

	for (unsigned int n = 1; text < end; n++) {
		const char *nl = memchr(text, '\n', end - text);
		size_t size = (nl ? nl : end) - text;
		int err;

		if (size >= sizeof(line))
			err = dune_err(-EINVAL, "line longer than %zu bytes; "
				       "cut it", sizeof(line) - 1);
		else if (memchr(text, '\0', size))
			err = dune_err(-EINVAL, "NUL byte in it; is this a "
				       "policy file?");
		else {
			memcpy(line, text, size);
			line[size] = '\0';
			err = parse_line(p, line, add);
		}
		if (err) {
			strcpy(why, dune_errmsg());
			return dune_err(err, "%.256s:%u: %s", name, n, why);
		}
		text += size + 1;
	}
	return 0;
}
