/*
 * --trace: one line a call, decoded by the row, in the manner of strace.
 *
 * Guest memory is read again for the line: another thread may have changed
 * it since. The line is for people; no decision rests on it.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "kern/mm/uaccess.h"
#include "kern/sys/internal.h"
#include "kern/task/hostcall.h"

#define TEXT_SHOWN 32u		/* bytes of a string */

struct line {
	char s[1024];
	size_t len;
};

static void add(struct line *l, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void add(struct line *l, const char *fmt, ...)
{
	size_t room = sizeof(l->s) - l->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->s + l->len, room, fmt, ap);
	va_end(ap);
	l->len += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
}

static void add_quoted(struct line *l, const char *s, size_t n, bool more)
{
	static const char escapes[] = "\aa\bb\tt\nn\vv\ff\rr\"\"\\\\";

	add(l, "\"");
	for (size_t i = 0; i < n; i++) {
		unsigned char ch = s[i];
		const char *e = NULL;

		for (size_t k = 0; escapes[k] && !e; k += 2)
			if (escapes[k] == s[i])
				e = &escapes[k + 1];
		if (e)
			add(l, "\\%c", *e);
		else if (ch < 0x20 || ch >= 0x7f)
			add(l, "\\x%02x", ch);
		else
			add(l, "%c", ch);
	}
	add(l, more ? "\"..." : "\"");
}

static void add_address(struct line *l, uint64_t v)
{
	if (v)
		add(l, "%#lx", v);
	else
		add(l, "NULL");
}

static void add_string(struct line *l, dune_gva_t at)
{
	char s[TEXT_SHOWN * 8];
	long n = dune_copy_string(s, at, sizeof(s));

	if (n == -ENAMETOOLONG)
		add_quoted(l, s, TEXT_SHOWN, true);
	else if (n < 0)
		add_address(l, at);
	else
		add_quoted(l, s, n, false);
}

static void add_bytes(struct line *l, dune_gva_t at, uint64_t len)
{
	size_t n = len < TEXT_SHOWN ? len : TEXT_SHOWN;
	char s[TEXT_SHOWN];

	if (dune_copy_in(s, at, n))
		add_address(l, at);
	else
		add_quoted(l, s, n, n < len);
}

/* Names of bits; the first row is what a field of 0 is called. */
struct bit {
	uint64_t bit;
	const char *name;
};

static const struct bit open_bits[] = {
	{ 0, "O_RDONLY" }, { O_WRONLY, "O_WRONLY" }, { O_RDWR, "O_RDWR" },
	{ O_CREAT, "O_CREAT" }, { O_EXCL, "O_EXCL" },
	{ O_NOCTTY, "O_NOCTTY" }, { O_TRUNC, "O_TRUNC" },
	{ O_APPEND, "O_APPEND" }, { O_NONBLOCK, "O_NONBLOCK" },
	{ O_SYNC, "O_SYNC" }, { O_DSYNC, "O_DSYNC" },
	{ O_DIRECT, "O_DIRECT" }, { O_TMPFILE, "O_TMPFILE" },
	{ O_DIRECTORY, "O_DIRECTORY" }, { O_NOFOLLOW, "O_NOFOLLOW" },
	{ O_NOATIME, "O_NOATIME" }, { O_CLOEXEC, "O_CLOEXEC" },
	{ O_PATH, "O_PATH" },
	{ 0100000, "O_LARGEFILE" }, { 0, NULL },
};

static const struct bit prot_bits[] = {
	{ 0, "PROT_NONE" }, { PROT_READ, "PROT_READ" },
	{ PROT_WRITE, "PROT_WRITE" }, { PROT_EXEC, "PROT_EXEC" },
	{ PROT_GROWSDOWN, "PROT_GROWSDOWN" }, { 0, NULL },
};

static const struct bit map_bits[] = {
	{ 0, "MAP_FILE" }, { MAP_SHARED_VALIDATE, "MAP_SHARED_VALIDATE" },
	{ MAP_SHARED, "MAP_SHARED" }, { MAP_PRIVATE, "MAP_PRIVATE" },
	{ MAP_FIXED, "MAP_FIXED" }, { MAP_ANONYMOUS, "MAP_ANONYMOUS" },
	{ MAP_GROWSDOWN, "MAP_GROWSDOWN" }, { MAP_DENYWRITE, "MAP_DENYWRITE" },
	{ MAP_LOCKED, "MAP_LOCKED" }, { MAP_NORESERVE, "MAP_NORESERVE" },
	{ MAP_POPULATE, "MAP_POPULATE" }, { MAP_NONBLOCK, "MAP_NONBLOCK" },
	{ MAP_STACK, "MAP_STACK" }, { MAP_HUGETLB, "MAP_HUGETLB" },
	{ MAP_FIXED_NOREPLACE, "MAP_FIXED_NOREPLACE" }, { 0, NULL },
};

static const struct bit at_bits[] = {
	{ 0, "0" }, { AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW" },
	{ AT_SYMLINK_FOLLOW, "AT_SYMLINK_FOLLOW" },
	{ AT_NO_AUTOMOUNT, "AT_NO_AUTOMOUNT" },
	{ AT_EMPTY_PATH, "AT_EMPTY_PATH" }, { 0, NULL },
};

static const struct {
	short nr;
	uint8_t arg;
	const struct bit *bits;
} flag_args[] = {
	{ SYS_open,		1, open_bits },
	{ SYS_openat,		2, open_bits },
	{ SYS_mmap,		2, prot_bits },
	{ SYS_mmap,		3, map_bits },
	{ SYS_mprotect,		2, prot_bits },
	{ SYS_newfstatat,	3, at_bits },
	{ SYS_statx,		2, at_bits },
	{ SYS_linkat,		4, at_bits },
	{ SYS_fchownat,		4, at_bits },
	{ SYS_utimensat,	3, at_bits },
	{ SYS_faccessat2,	3, at_bits },
	{ SYS_execveat,		4, at_bits },
};

static bool add_flags(struct line *l, long nr, int arg, uint64_t v)
{
	const struct bit *b = NULL;
	const char *sep = "";

	for (size_t i = 0; i < DUNE_ARRAY_SIZE(flag_args) && !b; i++)
		if (flag_args[i].nr == nr && flag_args[i].arg == arg)
			b = flag_args[i].bits;
	if (!b)
		return false;
	/* open's way to read is what is left when it does not write */
	if (!v || (b == open_bits && !(v & O_ACCMODE))) {
		add(l, "%s", b->name);
		sep = "|";
	}
	for (b++; b->name; b++) {
		if ((v & b->bit) != b->bit)
			continue;
		add(l, "%s%s", sep, b->name);
		v &= ~b->bit;
		sep = "|";
	}
	if (v)
		add(l, "%s%#lx", sep, v);
	return true;
}

static void add_signal(struct line *l, int sig)
{
	const char *name = sig > 0 && sig < 32 ? sigabbrev_np(sig) : NULL;

	if (name)
		add(l, "SIG%s", name);
	else
		add(l, "%d", sig);
}

static void add_pointer(struct line *l, const struct dune_call *c,
			const struct dune_argspec *a, uint64_t v, long ret)
{
	bool bytes = a->rule == DUNE_L_ARG || a->rule == DUNE_L_ARG32;
	uint64_t len = bytes ? c->arg[a->n] : 0;

	if (a->kind == DUNE_A_IN && bytes && v)
		add_bytes(l, v, len);
	else if (a->kind == DUNE_A_OUT && bytes && v && ret > 0 &&
		 (uint64_t)ret <= len)
		add_bytes(l, v, ret);
	else
		add_address(l, v);
}

static void add_arg(struct line *l, const struct dune_call *c, int i, long ret)
{
	const struct dune_argspec *a = &c->row->arg[i];
	uint64_t v = c->arg[i];

	switch ((enum dune_argkind)a->kind) {
	case DUNE_A_ATFD:
		if ((int)v == AT_FDCWD) {
			add(l, "AT_FDCWD");
			break;
		}
		/* fall through */
	case DUNE_A_FD:
	case DUNE_A_PID:
		add(l, "%d", (int)v);
		break;
	case DUNE_A_INT:
		add(l, "%ld", v == (uint32_t)v ? (int)v : (long)v);
		break;
	case DUNE_A_HEX:
		if (!add_flags(l, c->nr, i, v))
			add(l, "%#lx", v);
		break;
	case DUNE_A_OCT:
		add(l, "%#lo", v);
		break;
	case DUNE_A_SIG:
		add_signal(l, v);
		break;
	case DUNE_A_PATH:
	case DUNE_A_STR:
		if (v)
			add_string(l, v);
		else
			add(l, "NULL");
		break;
	default:
		add_pointer(l, c, a, v, ret);
	}
}

static void add_result(struct line *l, long ret)
{
	const char *name;

	if (ret == -DUNE_ERESTART) {
		add(l, "? ERESTARTSYS (to be restarted)");
	} else if (ret < 0 && ret >= -4095) {
		name = strerrorname_np(-ret);
		add(l, "-1 %s (%s)", name ? name : "?",
		    name ? strerrordesc_np(-ret) : "unknown error");
	} else if (ret < 0 || ret > UINT32_MAX) {
		add(l, "%#lx", ret);
	} else {
		add(l, "%ld", ret);
	}
}

void dune_sys_trace(const struct dune_policy *p, const struct dune_call *c,
		    long ret, bool returns)
{
	struct line l = { .len = 0 };
	int n = 6;

	add(&l, "[%ld] %s(", dune_own(SYS_gettid), dune_sys_name(c->nr));
	while (c->row && n && c->row->arg[n - 1].kind == DUNE_A_NONE)
		n--;
	for (int i = 0; i < n; i++) {
		add(&l, i ? ", " : "");
		if (c->row)
			add_arg(&l, c, i, ret);
		else
			add(&l, "%#lx", c->arg[i]);
	}
	add(&l, ") = ");
	if (returns)
		add_result(&l, ret);
	else
		add(&l, "?");
	/* However long the line, it ends with a newline. */
	if (l.len > sizeof(l.s) - 2)
		l.len = sizeof(l.s) - 2;
	l.s[l.len++] = '\n';
	dune_own(SYS_write, p->trace_fd >= 0 ? p->trace_fd : 2, l.s, l.len);
}
