/* dune-check: will dune-run work here, and how to mend what is missing. */
#include "apps/dune-check/check.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "kern/types.h"

static const struct group groups[] = {
	{ "machine", machine_checks },
	{ "kvm", kvm_checks },
	{ "features", feature_checks },
	{ "walls", wall_checks },
};

static const char *const words[] = {
	[OK] = "ok", [MISSING] = "missing", [NATIVE] = "native",
	[EMULATED] = "emulated", [OFF] = "off",
};

void found(struct result *r, enum status status, const char *fmt, ...)
{
	va_list ap;

	r->status = status;
	va_start(ap, fmt);
	vsnprintf(r->detail, sizeof(r->detail), fmt, ap);
	va_end(ap);
}

void mend(struct result *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->mend, sizeof(r->mend), fmt, ap);
	va_end(ap);
}

/* ---- what comes out ---- */

static void print_text(const char *title, const struct check *c,
		       const struct result *r)
{
	(void)title;
	printf("%-8s  %-22s  %s\n", words[r->status], c->name, r->detail);
	if (r->mend[0])
		printf("          -> %s\n", r->mend);
}

static void print_string(const char *key, const char *s)
{
	printf(", \"%s\": \"", key);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			printf("\\%c", *s);
		else if ((unsigned char)*s < ' ')
			printf("\\u%04x", *s);
		else
			putchar(*s);
	}
	putchar('"');
}

static void print_json(const char *title, const struct check *c,
		       const struct result *r)
{
	static const char *separator = "";

	printf("%s\n    { \"group\": \"%s\"", separator, title);
	separator = ",";
	print_string("name", c->name);
	print_string("status", words[r->status]);
	printf(", \"needed\": %s", c->needed ? "true" : "false");
	print_string("detail", r->detail);
	if (r->mend[0])
		print_string("mend", r->mend);
	printf(" }");
}

typedef void print_fn(const char *title, const struct check *c,
		      const struct result *r);

/* Returns the number of things that are needed and missing. */
static unsigned int run_all(struct facts *facts, print_fn *print)
{
	const struct check *c;
	struct result r;
	unsigned int i, missing = 0;

	for (i = 0; i < DUNE_ARRAY_SIZE(groups); i++) {
		for (c = groups[i].check; c->name; c++) {
			memset(&r, 0, sizeof(r));
			c->run(c, facts, &r);
			if (r.status == MISSING && c->needed)
				missing++;
			if (r.status != SKIPPED)
				print(groups[i].title, c, &r);
		}
	}
	return missing;
}

static int check_text(struct facts *facts)
{
	unsigned int missing = run_all(facts, print_text);

	if (missing) {
		printf("\ndune-run does not work here: %u missing\n", missing);
		return 1;
	}
	printf("\ndune-run works here, on %s\n",
	       dune_kvm_kind_name(&facts->kind));
	return 0;
}

static int check_json(struct facts *facts)
{
	unsigned int missing;

	printf("{\n  \"version\": \"%s\",\n  \"checks\": [", DUNE_VERSION);
	missing = run_all(facts, print_json);
	printf("\n  ],\n  \"kvm\": ");
	if (facts->probed)
		printf("\"%s\"", dune_kvm_kind_name(&facts->kind));
	else
		printf("null");
	printf(",\n  \"works\": %s\n}\n", missing ? "false" : "true");
	return missing ? 1 : 0;
}

/* The status, if what led to it could be told. */
static int told(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	perror("dune-check: standard output");
	return 2;
}

static void usage(FILE *to)
{
	fputs("usage: dune-check [--json]\n"
	      "Says whether dune-run works here, line by line, and how to "
	      "mend what is missing.\n"
	      "      --json     the same for programs\n"
	      "  -h, --help     this;  -V, --version\n"
	      "Status: 0 dune-run will work, 1 it will not, 2 bad usage or "
	      "output.\n",
	      to);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	static struct facts facts = { .kvm_fd = -1 };
	bool json = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "hV", options, NULL)) != -1) {
		switch (opt) {
		case 'j':
			json = true;
			break;
		case 'h':
			usage(stdout);
			return told(0);
		case 'V':
			puts("dune-check " DUNE_VERSION);
			return told(0);
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "dune-check: %s: no arguments are taken\n",
			argv[optind]);
		usage(stderr);
		return 2;
	}
	return told(json ? check_json(&facts) : check_text(&facts));
}
