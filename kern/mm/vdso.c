/*
 * The vDSO: a copy of the host's code in the arena, and behind the guest's
 * entries the host's own vvar pages, at the same distance before it. So a
 * program's clock_gettime() reads the TSC and the host's clock parameters and
 * takes no exit but the first, which brings the vvar pages: their slot is one
 * more to wait for in each process, and many never read the clock.
 */
#include "kern/mm/internal.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include "kern/mm/uaccess.h"

/* Linux has four to six vvar pages and two of code. */
#define SIZE_MAX_PAGES	16

/* Adds up the mappings called [vvar...] that end where the vDSO starts. */
uint64_t dune_vvar_size(void)
{
	uintptr_t vdso = getauxval(AT_SYSINFO_EHDR);
	char line[512], name[64];
	uintptr_t start, end, from = 0, to = 0;
	FILE *f = fopen("/proc/self/maps", "re");

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (!strstr(line, "[vvar") ||
		    sscanf(line, "%lx-%lx %*s %*s %*s %*s %63s", &start, &end,
			   name) != 3 || strncmp(name, "[vvar", 5))
			continue;
		if (start != to)
			from = start;
		to = end;
	}
	fclose(f);
	return to == vdso ? to - from : 0;
}

/* Length of the image in memory: it has one PT_LOAD segment. */
static uint64_t image_size(const char *vdso)
{
	const Elf64_Ehdr *eh = (const void *)vdso;
	const Elf64_Phdr *ph = (const void *)(vdso + eh->e_phoff);
	int i;

	for (i = 0; i < eh->e_phnum; i++)
		if (ph[i].p_type == PT_LOAD)
			return DUNE_PAGE_UP(ph[i].p_offset + ph[i].p_memsz);
	return 0;
}

static const void *dynamic(const char *image, int64_t tag)
{
	const Elf64_Ehdr *eh = (const void *)image;
	const Elf64_Phdr *ph = (const void *)(image + eh->e_phoff);
	const Elf64_Dyn *d = NULL;
	int i;

	for (i = 0; i < eh->e_phnum; i++)
		if (ph[i].p_type == PT_DYNAMIC)
			d = (const void *)(image + ph[i].p_offset);
	for (; d && d->d_tag != DT_NULL; d++)
		if (d->d_tag == tag)
			return image + d->d_un.d_ptr;
	return NULL;
}

/*
 * getcpu reads the CPU's number from a segment limit or from TSC_AUX, which
 * the guest's CPU does not have from the host: it gets a system call instead.
 */
static void patch_getcpu(char *image, uint64_t size)
{
	/* mov $309, %eax; syscall; ret */
	static const char code[] = "\xb8\x35\x01\x00\x00\x0f\x05\xc3";
	const Elf64_Sym *sym = dynamic(image, DT_SYMTAB);
	const char *str = dynamic(image, DT_STRTAB);
	const uint32_t *hash = dynamic(image, DT_HASH);
	uint32_t i;

	if (!sym || !str || !hash)
		return;
	for (i = 0; i < hash[1]; i++) {
		if (strcmp(str + sym[i].st_name, "__vdso_getcpu") ||
		    sym[i].st_size < sizeof(code) - 1 ||
		    sym[i].st_value > size - sizeof(code))
			continue;
		memcpy(image + sym[i].st_value, code, sizeof(code) - 1);
	}
}

/* Copies the code to its place and puts both ranges into the tree. */
static int place(struct dune_mm *mm, const char *image, uint64_t vvar,
		 uint64_t size, dune_gva_t *at)
{
	void *host;
	int err;

	*at = dune_mm_place(mm, vvar + size, DUNE_PAGE_SIZE, 0);
	if (!*at || dune_regions_reserve(&mm->regions, 4))
		return -ENOMEM;
	host = mmap(dune_host_addr(*at + vvar), size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (host == MAP_FAILED)
		return -errno;
	err = dune_copy_out(*at + vvar, image, size);
	if (!err && mprotect(host, size, PROT_READ))
		err = -errno;
	if (err) {
		munmap(host, size);
		return err;
	}
	/* No access in the tree: its faults are not ours to fill. */
	dune_region_insert(&mm->regions, *at, vvar, PROT_NONE, DUNE_R_VDSO);
	dune_region_insert(&mm->regions, *at + vvar, size,
			   PROT_READ | PROT_EXEC, DUNE_R_VDSO);
	return 0;
}

static int map_vdso(struct dune_mm *mm, const char *vdso)
{
	uint64_t vvar = mm->vvar_size, size = image_size(vdso);
	char image[SIZE_MAX_PAGES * DUNE_PAGE_SIZE];
	dune_gva_t at;
	int err;

	if (!size || size > sizeof(image))
		return -ENOTSUP;
	memcpy(image, vdso, size);
	patch_getcpu(image, size);
	err = place(mm, image, vvar, size, &at);
	if (!err)
		mm->vdso = at + vvar;
	return err;
}

int dune_mm_map_vvar(struct dune_mm *mm, const struct dune_region *r)
{
	const char *vdso = (const char *)getauxval(AT_SYSINFO_EHDR);
	dune_gva_t at = mm->vdso - mm->vvar_size;
	dune_gpa_t gpa;
	int err = dune_vm_vvar(mm->vm, (void *)(vdso - mm->vvar_size),
			       mm->vvar_size, &gpa);

	return err ? err : dune_pt_map_range(&mm->vm->pt, r->start,
					     r->end - r->start,
					     gpa + (r->start - at),
					     DUNE_PTE_U | DUNE_PTE_A |
					     DUNE_PTE_D | DUNE_PTE_NX);
}

void dune_mm_drop_vvar(struct dune_mm *mm)
{
	bool forget;

	if (!mm->vm->vvar_host)
		return;
	dune_pt_unmap(&mm->vm->pt, mm->vdso - mm->vvar_size, mm->vvar_size,
		      &forget);
	mm->vm->vvar_host = NULL;
}

int dune_mm_map_vdso(struct dune_mm *mm)
{
	const char *vdso = (const char *)getauxval(AT_SYSINFO_EHDR);
	int err;

	mm->vdso = 0;
	if (!vdso || !mm->vm->kind.tsc_matches)
		return 0;
	if (!mm->vvar_size)
		mm->vvar_size = dune_vvar_size();
	if (!mm->vvar_size ||
	    mm->vvar_size > SIZE_MAX_PAGES * DUNE_PAGE_SIZE)
		return 0;
	pthread_mutex_lock(&mm->lock);
	err = map_vdso(mm, vdso);
	pthread_mutex_unlock(&mm->lock);
	return err;
}
