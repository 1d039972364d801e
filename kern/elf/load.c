/*
 * Puts a checked program into a new address space: segments, interpreter,
 * brk, stack, auxiliary vector. What Linux does after the point of no return
 * of execve (fs/binfmt_elf.c), at the places layout.h draws.
 */
#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>
#include "dune/syscall.h"
#include "kern/elf/image.h"
#include "kern/err.h"
#include "kern/layout.h"
#include "kern/mm/mm.h"
#include "kern/mm/uaccess.h"

/* Random distances, as Linux's but for the stack, whose gap is smaller. */
#define EXE_SPREAD	(1ul << 40)
#define MMAP_SPREAD	(1ul << 40)
#define BRK_SPREAD	(32ul << 20)
#define STACK_SPREAD	(512ul << 20)
#define STACK_SHIFT	8192ul		/* of rsp, within its first pages */

/* From the top of the stack to the mmap area: spread, stack, and a gap. */
#define STACK_ROOM	(1ul << 30)
#define STACK_DEFAULT	(8ul << 20)
#define STACK_CAP	(64ul << 20)
#define STACK_SPARE	(128ul << 10)	/* below what the strings take */

#define HWCAP2_FSGSBASE	(1ul << 1)

struct layout {
	dune_gva_t exe, mmap_top, stack_top;	/* page aligned */
	uint64_t brk_gap, stack_shift;
	uint8_t random[16];			/* AT_RANDOM */
};

static uint64_t page_below(uint64_t random, uint64_t spread)
{
	return DUNE_PAGE_DOWN(random % spread);
}

/*
 * Below the vDSO, mostly under the same page table; as in Linux, where the vDSO
 * goes somewhere above the stack.
 */
static dune_gva_t stack_below(dune_gva_t vdso, uint64_t random)
{
	uint64_t room = vdso & (DUNE_LARGE_SIZE - 1);

	return vdso - page_below(random, room + DUNE_PAGE_SIZE);
}

static int choose_layout(const struct dune_mm *mm, struct layout *l)
{
	uint64_t r[5];
	int persona;

	if (getrandom(l->random, sizeof(l->random), 0) < 0 ||
	    getrandom(r, sizeof(r), 0) < 0)
		return dune_err(-errno, "getrandom: %s", strerror(errno));
	persona = personality(0xffffffff);
	if (persona >= 0 && persona & ADDR_NO_RANDOMIZE)
		memset(r, 0, sizeof(r));
	l->exe = DUNE_EXE_BASE + page_below(r[0], EXE_SPREAD);
	l->stack_top = mm->vdso ?
		stack_below(mm->vdso - mm->vvar_size, r[1]) :
		DUNE_STACK_TOP - page_below(r[1], STACK_SPREAD);
	l->mmap_top = DUNE_STACK_TOP - STACK_ROOM - page_below(r[2],
							       MMAP_SPREAD);
	l->brk_gap = page_below(r[3], BRK_SPREAD);
	l->stack_shift = r[4] % STACK_SHIFT & ~15ul;
	return 0;
}

/* A mapping at a fixed place; what is there is replaced. */
static int map(struct dune_mm *mm, dune_gva_t addr, uint64_t len, int prot,
	       int flags, int fd, uint64_t off)
{
	long ret = dune_mm_mmap(mm, addr, len, prot,
				MAP_PRIVATE | MAP_FIXED | MAP_DENYWRITE |
				flags, fd, off);

	return ret < 0 ? ret : 0;
}

/*
 * File pages, then zeroes. The last page of the file part is cleared to its
 * end if the segment is writable and goes on in zeroes; else Linux leaves
 * there what the file has. Pages of zeroes are writable whatever the segment
 * says, as in Linux.
 */
static int map_segment(struct dune_mm *mm, int fd, dune_gva_t bias,
		       const struct dune_segment *s)
{
	uint64_t pad = s->vaddr & (DUNE_PAGE_SIZE - 1);
	dune_gva_t start = bias + s->vaddr - pad;
	dune_gva_t zero = start, end = bias + s->vaddr + s->memsz;
	int ret;

	if (s->filesz) {
		ret = map(mm, start, pad + s->filesz, s->prot, 0, fd,
			  s->offset - pad);
		if (ret)
			return ret;
		if (s->memsz == s->filesz)
			return 0;
		zero = start + pad + s->filesz;
		if (s->prot & PROT_WRITE) {
			ret = dune_clear_out(zero, DUNE_PAGE_UP(zero) - zero);
			if (ret)
				return ret;
		}
		zero = DUNE_PAGE_UP(zero);
	}
	if (zero >= end)
		return 0;
	return map(mm, zero, DUNE_PAGE_UP(end) - zero,
		   PROT_READ | PROT_WRITE | (s->prot & PROT_EXEC),
		   MAP_ANONYMOUS, -1, 0);
}

/* Is [start, start + len) inside the arena with nothing mapped there? */
static bool is_free(struct dune_mm *mm, dune_gva_t start, uint64_t len)
{
	const struct dune_region *r;
	bool free;

	if (start < DUNE_ARENA_LO || !dune_access_ok(start, len))
		return false;
	pthread_mutex_lock(&mm->lock);
	r = dune_region_next(&mm->regions, start);
	free = !r || r->start >= start + len;
	pthread_mutex_unlock(&mm->lock);
	return free;
}

static int map_image(struct dune_mm *mm, const struct dune_image *img, int fd,
		     dune_gva_t bias)
{
	unsigned int i;
	int ret;

	if (!is_free(mm, bias + img->lo, img->hi - img->lo))
		return dune_err(-ENOMEM, "there is no room at 0x%llx for %llu "
				"bytes", (unsigned long long)(bias + img->lo),
				(unsigned long long)(img->hi - img->lo));
	for (i = 0; i < img->segments; i++) {
		ret = map_segment(mm, fd, bias, &img->seg[i]);
		if (ret)
			return dune_err(ret, "segment at 0x%llx cannot be "
					"mapped: %s",
					(unsigned long long)img->seg[i].vaddr,
					strerror(-ret));
	}
	return 0;
}

/* The bias that puts the image at or below start, aligned as it asks. */
static dune_gva_t bias_for(const struct dune_image *img, dune_gva_t start)
{
	if (!img->pie)
		return 0;
	return (start - img->lo) & ~(img->align - 1);
}

static int map_interp(struct dune_program *prog, struct dune_mm *mm,
		      dune_gva_t *bias)
{
	const struct dune_image *img = &prog->interp;
	dune_gva_t start = 0;

	if (img->pie) {
		pthread_mutex_lock(&mm->lock);
		start = dune_region_hole_below(&mm->regions, DUNE_ARENA_LO,
					       mm->mmap_top, img->hi - img->lo,
					       img->align);
		pthread_mutex_unlock(&mm->lock);
		if (!start)
			return dune_err(-ENOMEM, "there is no room for the "
					"interpreter");
	}
	*bias = bias_for(img, start);
	return map_image(mm, img, prog->interp_fd, *bias);
}

static void add_aux(struct dune_stack *s, uint64_t type, uint64_t value)
{
	s->aux[s->auxn].type = type;
	s->aux[s->auxn++].value = value;
}

/* CPUID.1 EDX. A static glibc's getauxval() answers something else. */
static uint64_t hwcap(void)
{
	unsigned int a, b, c, d;

	__cpuid(1, a, b, c, d);
	return d;
}

/* In Linux's order; dune_stack_build() adds the ones that are pointers. */
static void fill_aux(struct dune_stack *s, const struct dune_program *prog,
		     const struct dune_mm *mm, const struct dune_loaded *out)
{
	uint64_t hwcap2 = getauxval(AT_HWCAP2) & ~HWCAP2_FSGSBASE;

	if (mm->vm->kind.fsgsbase)
		hwcap2 |= HWCAP2_FSGSBASE;
	if (mm->vdso)
		add_aux(s, AT_SYSINFO_EHDR, mm->vdso);
	/* The signal frame holds the host's XSAVE area: the host's size. */
	if (getauxval(AT_MINSIGSTKSZ))
		add_aux(s, AT_MINSIGSTKSZ, getauxval(AT_MINSIGSTKSZ));
	add_aux(s, AT_HWCAP, hwcap());
	add_aux(s, AT_PAGESZ, DUNE_PAGE_SIZE);
	add_aux(s, AT_CLKTCK, sysconf(_SC_CLK_TCK));
	add_aux(s, AT_PHDR, out->bias + prog->img.phdr_vaddr);
	add_aux(s, AT_PHENT, prog->img.phentsize);
	add_aux(s, AT_PHNUM, prog->img.phnum);
	add_aux(s, AT_BASE, out->interp_base);
	add_aux(s, AT_FLAGS, 0);
	add_aux(s, AT_ENTRY, out->bias + prog->img.entry);
	add_aux(s, AT_UID, getuid());
	add_aux(s, AT_EUID, geteuid());
	add_aux(s, AT_GID, getgid());
	add_aux(s, AT_EGID, getegid());
	add_aux(s, AT_SECURE, 0);
	add_aux(s, AT_HWCAP2, hwcap2);
	add_aux(s, DUNE_AT_BATCH, DUNE_NR_BATCH);
}

/*
 * Mapped in full: growth on demand would need host and guest to grow
 * together. Unused pages cost nothing.
 */
static int map_stack(struct dune_mm *mm, dune_gva_t top, uint64_t used,
		     bool exec)
{
	uint64_t size = STACK_DEFAULT;
	struct rlimit rl;
	long ret;

	if (mm->rlimit_stack != RLIM_INFINITY)
		rl.rlim_cur = mm->rlimit_stack;
	else if (getrlimit(RLIMIT_STACK, &rl))
		rl.rlim_cur = RLIM_INFINITY;
	if (rl.rlim_cur != RLIM_INFINITY)
		size = rl.rlim_cur < STACK_CAP ? rl.rlim_cur : STACK_CAP;
	if (size < used + STACK_SPARE)
		size = used + STACK_SPARE;
	size = DUNE_PAGE_UP(size);
	/* MAP_STACK: no huge pages, which would be cleared at once. */
	ret = dune_mm_mmap(mm, top - size, size, PROT_READ | PROT_WRITE |
			   (exec ? PROT_EXEC : 0), MAP_PRIVATE |
			   MAP_ANONYMOUS | MAP_STACK | MAP_FIXED_NOREPLACE,
			   -1, 0);
	if (ret < 0)
		return dune_err(ret == -EEXIST ? -ENOMEM : ret, "there is no "
				"room for a stack of %llu KiB",
				(unsigned long long)size >> 10);
	pthread_mutex_lock(&mm->lock);
	ret = dune_region_flags(&mm->regions, top - size, size, DUNE_R_STACK,
				0);
	mm->stack_top = top;
	mm->stack_low = top - size;
	pthread_mutex_unlock(&mm->lock);
	return ret ? dune_err(ret, "out of memory") : 0;
}

static int make_stack(struct dune_program *prog, struct dune_mm *mm,
		      char *const *envp, const struct layout *l,
		      struct dune_loaded *out)
{
	struct dune_stack s = {
		.argv = prog->argv,
		.envp = envp,
		.execfn = prog->execfn,
		.platform = "x86_64",
	};
	dune_gva_t top = l->stack_top - l->stack_shift;
	uint64_t size;
	char *buf;
	long used;
	int ret;

	memcpy(s.random, l->random, sizeof(s.random));
	fill_aux(&s, prog, mm, out);
	size = dune_stack_bytes(&s);
	if (size > STACK_CAP - STACK_SHIFT - STACK_SPARE)
		return dune_err(-E2BIG, "the argument list is too long");
	ret = map_stack(mm, l->stack_top, size + STACK_SHIFT,
			prog->img.exec_stack);
	if (ret)
		return ret;
	buf = malloc(size);
	if (!buf)
		return dune_err(-ENOMEM, "out of memory for the first stack");
	used = dune_stack_build(&s, buf, size, top, &mm->arg_start,
				&mm->arg_end, &mm->env_start, &mm->env_end);
	if (used < 0)
		ret = used;
	else if (dune_copy_out(top - used, buf + size - used, used))
		ret = dune_err(-EFAULT, "the first stack cannot be written");
	free(buf);
	out->rsp = top - used;
	return ret;
}

/* Puts "name: " before the message that is there. */
static int load_err(int err, const struct dune_program *prog)
{
	char reason[DUNE_ERR_MAX];

	strcpy(reason, dune_errmsg());
	return dune_err(err, "%s: %s", prog->execfn, reason);
}

int dune_program_load(struct dune_program *prog, struct dune_mm *mm,
		      char *const *envp, struct dune_loaded *out)
{
	struct layout l;
	int ret;

	memset(out, 0, sizeof(*out));
	strcpy(out->path, prog->path);
	ret = choose_layout(mm, &l);
	if (ret)
		return load_err(ret, prog);
	mm->mmap_top = l.mmap_top;

	out->bias = bias_for(&prog->img, l.exe);
	ret = map_image(mm, &prog->img, prog->fd, out->bias);
	if (ret)
		return load_err(ret, prog);
	out->entry = out->bias + prog->img.entry;
	mm->brk_start = mm->brk = out->bias + prog->img.hi + l.brk_gap;

	if (prog->interp_fd >= 0) {
		ret = map_interp(prog, mm, &out->interp_base);
		if (ret)
			return load_err(ret, prog);
		out->entry = out->interp_base + prog->interp.entry;
	}
	ret = make_stack(prog, mm, envp, &l, out);
	return ret ? load_err(ret, prog) : 0;
}
