/* Reports for a person: violations and the end of a guest. */
#include "kern/report/report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "kern/broker/broker.h"
#include "kern/err.h"
#include "kern/mm/uaccess.h"
#include "kern/report/args.h"
#include "kern/report/backtrace.h"
#include "kern/report/maps.h"
#include "kern/report/recent.h"
#include "kern/report/symbols.h"
#include "kern/sys/sys.h"
#include "kern/task/task.h"

#define LINE_SIZE	768
#define VECTOR_PF	14
#define MAPS_SIZE	(256u << 10)

struct report {
	struct dune_task *task;
	int fd;
	char *maps;			/* "" when it cannot be had */
	/* the file looked into last: frames come in runs */
	char path[sizeof(((struct dune_mapping *)0)->path)];
	int file;
	uint64_t file_size;
	char errmsg[DUNE_ERR_MAX];	/* to be put back */
};

static void line(const struct report *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void line(const struct report *r, const char *fmt, ...)
{
	static const char prefix[] = "dune-run: ";
	char buf[LINE_SIZE + sizeof(prefix)];
	size_t len;
	va_list ap;

	memcpy(buf, prefix, sizeof(prefix));
	va_start(ap, fmt);
	vsnprintf(buf + sizeof(prefix) - 1, LINE_SIZE, fmt, ap);
	va_end(ap);
	len = strlen(buf);
	buf[len++] = '\n';
	/* Nobody is left to be told when this fails. */
	while (write(r->fd, buf, len) < 0 && errno == EINTR)
		;
}

/* The guest names files, and the report goes to somebody's terminal. */
static void printable(char *s)
{
	for (; *s; s++)
		if (*s < ' ' || *s > '~')
			*s = '?';
}

/* ---- where an address is ---- */

/* Before the walls are up there may be no broker, but there is /proc. */
static long read_proc_maps(char *buf, size_t size)
{
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while (len < size && (n = read(fd, buf + len, size - len)) > 0)
		len += n;
	close(fd);
	return len;
}

/*
 * The guest's mappings come first, so it is the monitor's that fall out when
 * there are too many. Mapped, not malloc'd: in a child of fork malloc's lock
 * may be held by a thread that is not there.
 */
static void get_maps(struct report *r)
{
	int broker = r->task->proc->broker;
	long n;

	r->maps = mmap(NULL, MAPS_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (r->maps == MAP_FAILED) {
		r->maps = NULL;
		return;
	}
	n = broker < 0 ? read_proc_maps(r->maps, MAPS_SIZE - 1) :
	    dune_broker_proc(broker, "self/maps", r->maps, MAPS_SIZE - 1);
	r->maps[n > 0 ? n : 0] = '\0';
}

static long read_at(void *ctx, void *buf, size_t len, uint64_t off)
{
	const struct report *r = ctx;
	ssize_t n = pread(r->file, buf, len, off);

	return n < 0 ? -errno : n;
}

/* Landlock refuses what the program may not read: then there is no name. */
static void open_file(struct report *r, const char *path)
{
	struct stat st;
	int fd;

	if (!strcmp(r->path, path))
		return;
	strcpy(r->path, path);
	if (r->file >= 0)
		close(r->file);
	r->file = -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode)) {
		/* out of the reach of other guest threads */
		r->file = fcntl(fd, F_DUPFD_CLOEXEC, r->task->proc->fd_base);
		r->file_size = st.st_size;
	}
	close(fd);
}

static struct dune_region find_region(const struct report *r, dune_gva_t va)
{
	struct dune_mm *mm = r->task->mm;
	struct dune_region none = { 0 }, *found;

	pthread_mutex_lock(&mm->lock);
	found = dune_region_find(&mm->regions, va);
	if (found)
		none = *found;
	pthread_mutex_unlock(&mm->lock);
	return none;
}

static const char *region_name(const struct dune_region *region)
{
	if (region->start == region->end)
		return "[not mapped]";
	if (region->flags & DUNE_R_VDSO)
		return "[vdso]";
	if (region->flags & DUNE_R_STACK)
		return "[stack]";
	if (region->flags & DUNE_R_HEAP)
		return "[heap]";
	return "[anonymous]";
}

/*
 * Which file is behind an address; or was behind code, when a process that is
 * made of a file was saved.
 */
static bool find_file(const struct report *r, const struct dune_region *region,
		      dune_gva_t va, struct dune_mapping *m)
{
	const char *maps = region->flags & DUNE_R_FILE ? r->maps :
			   region->prot & PROT_EXEC ? r->task->mm->came_from :
			   NULL;

	return maps && dune_maps_find(maps, va, m) && m->path[0] == '/';
}

/*
 * Has the file there what is in memory? It may be another one by now. Not all
 * of the page: call sites in it may be rewritten.
 */
static bool same_code(const struct report *r, dune_gva_t va, uint64_t off)
{
	char memory[32], file[sizeof(memory)];

	return !dune_copy_in(memory, va & DUNE_PAGE_MASK, sizeof(memory)) &&
	       pread(r->file, file, sizeof(file), off & DUNE_PAGE_MASK) ==
	       sizeof(file) && !memcmp(memory, file, sizeof(file));
}

/*
 * "path+0x1234 (name+0x56)". `back` is 1 for return addresses: a call may be
 * the last instruction of its function, so the byte before is looked up.
 */
static void describe(struct report *r, dune_gva_t pc, unsigned int back,
		     char *buf, size_t size)
{
	struct dune_symfile f = { .read_at = read_at, .ctx = r };
	struct dune_region region = find_region(r, pc);
	struct dune_mapping m;
	struct dune_symbol sym;
	dune_gva_t va = pc - back;
	uint64_t off;

	if (!find_file(r, &region, va, &m)) {
		snprintf(buf, size, "%s+0x%llx", region_name(&region),
			 (unsigned long long)(pc - region.start));
		return;
	}
	off = va - m.start + m.offset;
	open_file(r, m.path);
	if (r->file >= 0 && (region.flags & DUNE_R_FILE ||
			     same_code(r, va, off)))
		f.size = r->file_size;
	dune_symbol_find(&f, off, &sym);
	printable(m.path);
	if (sym.name[0])
		snprintf(buf, size, "%s+0x%llx (%s+0x%llx)", m.path,
			 (unsigned long long)sym.vaddr + back, sym.name,
			 (unsigned long long)(sym.vaddr + back - sym.start));
	else
		snprintf(buf, size, "%s+0x%llx", m.path,
			 (unsigned long long)sym.vaddr + back);
}

/* ---- the parts of a report ---- */

static int read_guest(void *ctx, void *dst, dune_gva_t src, size_t len)
{
	(void)ctx;
	return dune_copy_in(dst, src, len);
}

static bool is_code(void *ctx, dune_gva_t va)
{
	const struct report *r = ctx;

	return find_region(r, va).prot & PROT_EXEC;
}

static void report_stack(struct report *r)
{
	const struct kvm_regs *u = &r->task->vcpu->u;
	const struct dune_backtrace b = {
		.read = read_guest, .is_code = is_code, .ctx = r,
	};
	struct dune_frame frame[DUNE_FRAMES];
	char where[LINE_SIZE];
	unsigned int i, n;

	get_maps(r);
	n = dune_backtrace(&b, u->rip, u->rsp, u->rbp, frame);
	for (i = 0; i < n; i++) {
		describe(r, frame[i].pc, i ? 1 : 0, where, sizeof(where));
		line(r, "  #%-2u%c%016llx %s", i, frame[i].sure ? ' ' : '?',
		     (unsigned long long)frame[i].pc, where);
	}
	if (r->maps)
		munmap(r->maps, MAPS_SIZE);
	if (r->file >= 0)
		close(r->file);
}

static void report_registers(const struct report *r)
{
	const struct dune_vcpu *c = r->task->vcpu;
	const struct kvm_regs *u = &c->u;
	const struct {
		const char *name;
		uint64_t value;
	} reg[] = {
		{ "rip", u->rip }, { "rsp", u->rsp }, { "rbp", u->rbp },
		{ "rax", u->rax }, { "rbx", u->rbx }, { "rcx", u->rcx },
		{ "rdx", u->rdx }, { "rsi", u->rsi }, { "rdi", u->rdi },
		{ " r8", u->r8 }, { " r9", u->r9 }, { "r10", u->r10 },
		{ "r11", u->r11 }, { "r12", u->r12 }, { "r13", u->r13 },
		{ "r14", u->r14 }, { "r15", u->r15 }, { "flg", u->rflags },
		{ "fsb", c->fs_base }, { "gsb", c->gs_base },
		{ "cr2", c->trap_cr2 },
	};
	size_t i;

	for (i = 0; i + 2 < DUNE_ARRAY_SIZE(reg); i += 3)
		line(r, "  %s %016llx  %s %016llx  %s %016llx",
		     reg[i].name, (unsigned long long)reg[i].value,
		     reg[i + 1].name, (unsigned long long)reg[i + 1].value,
		     reg[i + 2].name, (unsigned long long)reg[i + 2].value);
}

static void report_recent(const struct report *r)
{
	char text[LINE_SIZE];
	unsigned int i;

	for (i = 0; dune_recent_get(i, text, sizeof(text)); i++)
		line(r, "  %s%s", i ? "       " : "calls: ", text);
}

static void begin(struct report *r, struct dune_task *task)
{
	int fd = task->proc->policy->report_fd;

	*r = (struct report){
		.task = task,
		.fd = fd >= 0 ? fd : STDERR_FILENO,
		.file = -1,
	};
	strcpy(r->errmsg, dune_errmsg());
}

static void finish(struct report *r)
{
	char exe[sizeof(r->task->proc->exe)];

	strcpy(exe, r->task->proc->exe);
	printable(exe);
	line(r, "  in %s, process %d, thread %d", exe, getpid(),
	     r->task->tid);
	report_registers(r);
	report_stack(r);
	report_recent(r);
	dune_err(0, "%s", r->errmsg);
}

void dune_report_violation(struct dune_task *task,
			   const struct dune_call *call, const char *rule)
{
	struct report r;
	char text[LINE_SIZE];

	begin(&r, task);
	dune_format_call(text, sizeof(text), call);
	line(&r, "refused: %s", text);
	line(&r, "  by the rule: %s", rule);
	finish(&r);
}

void dune_report_fault(struct dune_task *task, const char *what)
{
	struct report r;

	begin(&r, task);
	line(&r, "ended: %s", what);
	if (task->vcpu->last == DUNE_EXIT_TRAP &&
	    task->vcpu->trap_vector == VECTOR_PF)
		line(&r, "  page fault at %016llx",
		     (unsigned long long)task->vcpu->trap_cr2);
	finish(&r);
}
