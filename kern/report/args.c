/* A call as text, for reports. */
#include "kern/report/args.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include "kern/mm/uaccess.h"
#include "kern/sys/sys.h"

#define STRING_SHOWN 160

struct text {
	char *buf;
	size_t size, used;
};

static void add(struct text *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void add(struct text *t, const char *fmt, ...)
{
	size_t left = t->size - t->used;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->used, left, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->used += (size_t)n < left ? (size_t)n : left - 1;
}

/* The guest chooses these bytes, and they go to somebody's terminal. */
static void add_string(struct text *t, uint64_t addr)
{
	char s[STRING_SHOWN + 1];
	const unsigned char *c;
	long n = dune_copy_string(s, addr, sizeof(s));

	if (!addr) {
		add(t, "NULL");
		return;
	}
	if (n < 0 && n != -ENAMETOOLONG) {
		add(t, "0x%llx", (unsigned long long)addr);
		return;
	}
	s[STRING_SHOWN] = '\0';
	add(t, "\"");
	for (c = (const unsigned char *)s; *c; c++) {
		if (*c == '"' || *c == '\\')
			add(t, "\\%c", *c);
		else if (*c >= ' ' && *c <= '~')
			add(t, "%c", *c);
		else
			add(t, "\\%03o", *c);
	}
	add(t, n < 0 ? "\"..." : "\"");
}

static void add_arg(struct text *t, enum dune_argkind kind, uint64_t value)
{
	switch (kind) {
	case DUNE_A_ATFD:
		if ((int)value == AT_FDCWD) {
			add(t, "AT_FDCWD");
			break;
		}
		/* fall through */
	case DUNE_A_INT:
	case DUNE_A_FD:
	case DUNE_A_PID:
	case DUNE_A_SIG:
		add(t, "%d", (int)value);
		break;
	case DUNE_A_OCT:
		add(t, "0%o", (unsigned int)value);
		break;
	case DUNE_A_PATH:
	case DUNE_A_STR:
		add_string(t, value);
		break;
	default:
		add(t, "0x%llx", (unsigned long long)value);
	}
}

void dune_format_call(char *buf, size_t size, const struct dune_call *call)
{
	struct text t = { .buf = buf, .size = size };
	enum dune_argkind kind;
	unsigned int i;

	add(&t, "%s(", dune_sys_name(call->nr));
	for (i = 0; i < DUNE_ARRAY_SIZE(call->arg); i++) {
		kind = call->row ? call->row->arg[i].kind : DUNE_A_HEX;
		if (kind == DUNE_A_NONE)
			break;
		add(&t, i ? ", " : "");
		add_arg(&t, kind, call->arg[i]);
	}
	add(&t, ")");
}
