/* The table of --stat, in the manner of strace -c. */
#include "apps/dune-run/run.h"

#include <stdio.h>
#include <stdlib.h>
#include "kern/sys/stats.h"
#include "kern/types.h"

struct line {
	const char *name;
	struct dune_sysstat s;
};

/* Most time first; without times, most calls. */
static int compare(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (x->s.ns != y->s.ns)
		return x->s.ns < y->s.ns ? 1 : -1;
	if (x->s.calls != y->s.calls)
		return x->s.calls < y->s.calls ? 1 : -1;
	return 0;
}

static void print_line(const struct line *l, uint64_t total_ns)
{
	const struct dune_sysstat *s = &l->s;

	fprintf(stderr, "%6.2f %11.6f %11lu %9lu ",
		total_ns ? 100.0 * s->ns / total_ns : 0.0, s->ns / 1e9,
		(unsigned long)(s->calls ? s->ns / s->calls / 1000 : 0),
		(unsigned long)s->calls);
	if (s->errors)
		fprintf(stderr, "%9lu ", (unsigned long)s->errors);
	else
		fprintf(stderr, "%9s ", "");
	if (s->denied)
		fprintf(stderr, "%9lu ", (unsigned long)s->denied);
	else
		fprintf(stderr, "%9s ", "");
	fprintf(stderr, "%s\n", l->name);
}

static void print_rule(void)
{
	fputs("------ ----------- ----------- --------- --------- --------- "
	      "----------------\n", stderr);
}

void dune_print_stats(const struct dune_stats *s, const struct dune_kvm_kind *k,
		      uint64_t wall_ns)
{
	static struct line lines[DUNE_NR_MAX];
	struct line total = { .name = "total" };
	uint64_t by_action[DUNE_DO_REFUSE + 1] = { 0 };
	size_t n = 0;

	for (long nr = 0; nr < DUNE_NR_MAX; nr++) {
		const struct dune_sysstat *c = &s->sys[nr];

		if (!c->calls)
			continue;
		lines[n++] = (struct line){ dune_sys_name(nr), *c };
		total.s.calls += c->calls;
		total.s.errors += c->errors;
		total.s.denied += c->denied;
		total.s.ns += c->ns;
		by_action[dune_systable[nr].action] += c->calls - c->denied;
	}
	qsort(lines, n, sizeof(lines[0]), compare);
	fputs("% time     seconds  usecs/call     calls    errors    denied "
	      "syscall\n", stderr);
	print_rule();
	for (size_t i = 0; i < n; i++)
		print_line(&lines[i], total.s.ns);
	print_rule();
	print_line(&total, total.s.ns ? total.s.ns : 1);
	fprintf(stderr,
		"\nsystem calls: %lu forwarded, %lu emulated, %lu refused, "
		"%lu denied by policy, %lu unknown\n"
		"of these without an exit: %lu by the proxy, %lu in the "
		"guest; %lu call sites rewritten; proxy woken %lu times\n"
		"VM: %lu exits, %lu page faults, %lu signals delivered, "
		"%lu processes, %lu threads\n"
		"KVM: %s\n"
		"wall time: %.6f s\n",
		(unsigned long)by_action[DUNE_DO_FORWARD],
		(unsigned long)by_action[DUNE_DO_EMULATE],
		(unsigned long)by_action[DUNE_DO_REFUSE],
		(unsigned long)total.s.denied,
		(unsigned long)(s->unknown + by_action[DUNE_DO_UNKNOWN]),
		(unsigned long)s->by_proxy, (unsigned long)s->by_guest,
		(unsigned long)s->sites, (unsigned long)s->wakings,
		(unsigned long)s->exits, (unsigned long)s->faults,
		(unsigned long)s->signals, (unsigned long)s->processes,
		(unsigned long)s->threads,
		dune_kvm_kind_name(k),
		wall_ns / 1e9);
}
