/* The VM: descriptors, slots, windows. */
#include "kern/vm/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "kern/err.h"
#include "kern/vm/ring0.h"

/*
 * Guest physical memory by windows: the ring 0 area, then one for small
 * things (vvar, and a page whose slot comes and goes to make KVM forget),
 * then the arena's windows.
 */
enum {
	SLOT_RING0, SLOT_RING0_REST, SLOT_ALIAS, SLOT_VVAR, SLOT_FORGET,
	SLOT_WINDOWS
};

#define GPA_VVAR	DUNE_RING0_SIZE
#define GPA_FORGET	(DUNE_RING0_SIZE + DUNE_WINDOW_SIZE / 2)
#define GPA_WINDOWS	(DUNE_RING0_SIZE + DUNE_WINDOW_SIZE)

#define HASH_SIZE	(2 * DUNE_MAX_WINDOWS)

/*
 * Of the ring 0 area, what the smallest program's VM needs: one fault, not 20.
 */
#define FIRST_PAGES	(24 * DUNE_PAGE_SIZE)

/*
 * As much of it has a slot from the start, enough for the tables of a GiB. A
 * slot takes time by its size, at the begin and at the end of each process.
 */
#define RING0_FIRST (4ul << 20)

/* Both of the windows' tables, as one mapping: what is not used stays free. */
#define WINDOW_TABLES	((DUNE_MAX_WINDOWS + HASH_SIZE) * sizeof(uint32_t))

static int set_slot(struct dune_vm *vm, unsigned int slot, dune_gpa_t gpa,
		    const void *host, size_t size, unsigned int flags)
{
	struct kvm_userspace_memory_region r = {
		.slot = slot, .flags = flags, .guest_phys_addr = gpa,
		.memory_size = size, .userspace_addr = (uintptr_t)host,
	};

	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &r) < 0)
		return dune_err(-errno,
				"KVM refused a memory slot of %zu KiB: %s",
				size >> 10, strerror(errno));
	return 0;
}

static dune_gpa_t window_gpa(unsigned int index)
{
	return GPA_WINDOWS + ((dune_gpa_t)index << DUNE_WINDOW_SHIFT);
}

/* Is, in w, the bit of a window set? */
static bool has_window(const struct dune_windows *w, unsigned int index)
{
	uint64_t i = window_gpa(index) >> DUNE_WINDOW_SHIFT;

	return w->bits[i / 64] >> i % 64 & 1;
}

#define WINDOW_WORDS	(DUNE_WINDOW_SIZE / DUNE_PAGE_SIZE / 64)

static uint64_t window_base(const struct dune_vm *vm, unsigned int index)
{
	return (uint64_t)vm->window[index] << DUNE_WINDOW_SHIFT;
}

/* The last window of the user half is cut: KVM takes no more than that. */
static uint64_t window_size(const struct dune_vm *vm, unsigned int index)
{
	uint64_t base = window_base(vm, index);

	return base < DUNE_ARENA_HI && DUNE_WINDOW_SIZE > DUNE_ARENA_HI - base ?
	       DUNE_ARENA_HI - base : DUNE_WINDOW_SIZE;
}

static int window_slot(struct dune_vm *vm, unsigned int index)
{
	return set_slot(vm, SLOT_WINDOWS + index, window_gpa(index),
			(void *)window_base(vm, index), window_size(vm, index),
			has_window(&vm->logged, index) ?
			KVM_MEM_LOG_DIRTY_PAGES : 0);
}

/* Where number is, or the empty place where it belongs. */
static uint32_t *hash_place(struct dune_vm *vm, uint32_t number)
{
	uint32_t i = number * 2654435761u % HASH_SIZE;

	while (vm->window_hash[i] &&
	       vm->window[vm->window_hash[i] - 1] != number)
		i = (i + 1) % HASH_SIZE;
	return &vm->window_hash[i];
}

int dune_vm_back(struct dune_vm *vm, dune_gva_t va, dune_gpa_t *gpa)
{
	uint32_t number = va >> DUNE_WINDOW_SHIFT;
	uint32_t *place;
	int r = 0;

	pthread_mutex_lock(&vm->lock);
	place = hash_place(vm, number);
	if (!*place) {
		unsigned int index = vm->windows;

		if (index >= vm->max_windows ||
		    window_gpa(index + 1) > 1ul << vm->kind.gpa_bits) {
			r = dune_err(-ENOMEM, "guest physical memory is used "
				     "up: %u windows of 64 MiB", index);
			goto out;
		}
		vm->window[index] = number;
		r = window_slot(vm, index);
		if (r)
			goto out;
		vm->windows = index + 1;
		*place = index + 1;
	}
	*gpa = window_gpa(*place - 1) + (va & (DUNE_WINDOW_SIZE - 1));
out:
	pthread_mutex_unlock(&vm->lock);
	return r;
}

void *dune_vm_table_page(struct dune_vm *vm, dune_gpa_t *gpa)
{
	size_t at;

	if (!vm->tables_used)
		return dune_ring0_pages(vm, DUNE_PAGE_SIZE, gpa);
	at = __atomic_fetch_add(&vm->tables_used, DUNE_PAGE_SIZE,
				__ATOMIC_RELAXED);
	if (at >= DUNE_RING0_OWN)
		return NULL;
	*gpa = at;
	return vm->ring0 + at;
}

void *dune_vm_table_host(struct dune_vm *vm, dune_gpa_t gpa)
{
	/* not ours: guest ring 0 has written it, who could ruin any other */
	return vm->ring0 + (gpa < DUNE_RING0_SIZE ? gpa : 0);
}

static int forget_slot(struct dune_vm *vm, size_t size)
{
	return set_slot(vm, SLOT_FORGET, GPA_FORGET, vm->ring0, size, 0);
}

/* Deleting a slot makes KVM drop all translations of the VM. */
int dune_vm_forget(struct dune_vm *vm)
{
	int r;

	pthread_mutex_lock(&vm->lock);
	r = forget_slot(vm, DUNE_PAGE_SIZE);
	if (!r)
		r = forget_slot(vm, 0);
	pthread_mutex_unlock(&vm->lock);
	return r;
}

/* With it the log takes rights from the pages it is told, not from all. */
static void ask_exact_log(struct dune_vm *vm)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
		.args = { KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE },
	};

	vm->exact_log = !ioctl(vm->fd, KVM_ENABLE_CAP, &cap);
}

static int alias_slot(struct dune_vm *vm)
{
	ask_exact_log(vm);
	return set_slot(vm, SLOT_ALIAS, DUNE_RING0_ALIAS, vm->ring0,
			DUNE_RING0_SIZE - DUNE_RING0_ALIAS, 0);
}

int dune_vm_alias(struct dune_vm *vm, uint64_t flags)
{
	uint64_t at;
	int r = 0;

	if (vm->alias)
		return 0;
	for (at = DUNE_RING0_ALIAS; !r && at < DUNE_RING0_SIZE;
	     at += DUNE_LARGE_SIZE)
		r = dune_pt_map_large(&vm->pt, DUNE_RING0_GVA + at, at, flags);
	if (!r)
		r = alias_slot(vm);
	vm->alias = !r;
	return r;
}

/* KVM takes the right to write from all pages, and notes who gets it. */
static int log_window(struct dune_vm *vm, unsigned int index)
{
	uint64_t i = window_gpa(index) >> DUNE_WINDOW_SHIFT;
	uint64_t bit = 1ul << i % 64;
	int r;

	vm->logged.bits[i / 64] |= bit;
	r = window_slot(vm, index);
	if (r)
		vm->logged.bits[i / 64] &= ~bit;
	return r;
}

/* Takes it from those of these that have got it since the last time. */
static int protect_window(struct dune_vm *vm, unsigned int index,
			  uint64_t *pages)
{
	struct kvm_clear_dirty_log clear = {
		.slot = SLOT_WINDOWS + index, .dirty_bitmap = pages,
		.num_pages = window_size(vm, index) / DUNE_PAGE_SIZE,
	};
	struct kvm_dirty_log all = {
		.slot = SLOT_WINDOWS + index, .dirty_bitmap = pages,
	};
	int r = vm->exact_log ? ioctl(vm->fd, KVM_CLEAR_DIRTY_LOG, &clear) :
		ioctl(vm->fd, KVM_GET_DIRTY_LOG, &all);

	return r < 0 ? -errno : 0;
}

/*
 * The pages of a window, which are in the list no longer: before KVM does
 * anything, as whoever puts one there has cleared its bit before.
 */
static void take_pages(unsigned int index, uint64_t *list, size_t listed,
		       uint64_t *pages)
{
	uint64_t window = window_gpa(index) >> DUNE_WINDOW_SHIFT;
	unsigned int i;

	memset(pages, 0xff, WINDOW_WORDS * sizeof(*pages));
	for (i = 0; window < listed && i < WINDOW_WORDS; i++)
		pages[i] = __atomic_exchange_n(&list[window * WINDOW_WORDS + i],
					       0, __ATOMIC_SEQ_CST);
}

int dune_vm_unwrite(struct dune_vm *vm, const struct dune_windows *w,
		    uint64_t *list, size_t listed)
{
	uint64_t pages[WINDOW_WORDS];
	unsigned int i;
	int r = 0;

	pthread_mutex_lock(&vm->lock);
	for (i = 0; !r && i < vm->windows; i++) {
		if (!has_window(w, i))
			continue;
		take_pages(i, list, listed, pages);
		r = has_window(&vm->logged, i) ?
		    protect_window(vm, i, pages) : log_window(vm, i);
	}
	pthread_mutex_unlock(&vm->lock);
	return r;
}

int dune_vm_vvar(struct dune_vm *vm, void *host, size_t size, dune_gpa_t *gpa)
{
	int r = set_slot(vm, SLOT_VVAR, GPA_VVAR, host, size,
			 KVM_MEM_READONLY);

	if (r)
		return r;
	vm->vvar_host = host;
	vm->vvar_size = size;
	*gpa = GPA_VVAR;
	return 0;
}

int dune_vm_take_fd(const struct dune_vm *vm, int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, vm->fd_floor);
	int err = errno;

	close(fd);
	return high < 0 ? -err : high;
}

static int ring0_rest_slot(struct dune_vm *vm)
{
	return set_slot(vm, SLOT_RING0_REST, vm->ring0_first,
			vm->ring0 + vm->ring0_first,
			DUNE_RING0_ALIAS - vm->ring0_first, 0);
}

int dune_vm_ring0_reach(struct dune_vm *vm, size_t end)
{
	int r;

	if (end <= vm->ring0_first ||
	    __atomic_load_n(&vm->ring0_rest, __ATOMIC_ACQUIRE))
		return 0;
	/* threads may meet here: making a slot that is there does nothing */
	r = ring0_rest_slot(vm);
	if (!r)
		__atomic_store_n(&vm->ring0_rest, true, __ATOMIC_RELEASE);
	return r;
}

static int open_vm(struct dune_vm *vm)
{
	int fd, r;

	vm->fd = -1;
	/* EINTR: a signal while KVM waited for all CPUs. */
	do
		fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, 0);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return dune_err(-errno, "/dev/kvm cannot make a VM: %s",
				strerror(errno));
	fd = dune_vm_take_fd(vm, fd);
	if (fd < 0)
		return dune_err(fd, "no descriptor left for the VM: raise "
				"ulimit -n");
	vm->fd = fd;
	r = set_slot(vm, SLOT_RING0, 0, vm->ring0, vm->ring0_first, 0);
	return !r && vm->ring0_rest ? ring0_rest_slot(vm) : r;
}

static void *pt_alloc(void *ctx, dune_gpa_t *gpa)
{
	return dune_vm_table_page(ctx, gpa);
}

static void *pt_host(void *ctx, dune_gpa_t gpa)
{
	return dune_vm_table_host(ctx, gpa);
}

int dune_vm_create(struct dune_vm *vm, int kvm_fd, int fd_floor,
		   const struct dune_kvm_kind *kind, void *ring0_at)
{
	int fixed = ring0_at ? MAP_FIXED_NOREPLACE : 0;
	int r;

	memset(vm, 0, sizeof(*vm));
	vm->kvm_fd = kvm_fd;
	vm->fd = -1;
	vm->fd_floor = fd_floor;
	vm->max_windows = DUNE_MAX_WINDOWS;
	vm->kind = *kind;
	pthread_mutex_init(&vm->lock, NULL);
	vm->window = mmap(NULL, WINDOW_TABLES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	vm->ring0 = mmap(ring0_at, DUNE_RING0_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | fixed,
			 -1, 0);
	if (ring0_at && vm->ring0 != ring0_at)
		return dune_err(-ENOMEM, "addresses from %p on are taken in "
				"this process", ring0_at);
	if (vm->window == MAP_FAILED || vm->ring0 == MAP_FAILED)
		return dune_err(-ENOMEM, "no memory for a VM; free some, or "
				"raise ulimit -v and -d");
	vm->window_hash = vm->window + DUNE_MAX_WINDOWS;
	/* failing is fine: they come when they are touched */
	madvise(vm->ring0, FIRST_PAGES, MADV_POPULATE_WRITE);
	vm->ring0_used = DUNE_RING0_FREE;
	vm->ring0_end = ring0_at ? DUNE_RING0_TABLES : DUNE_RING0_SIZE;
	vm->tables_used = ring0_at ? DUNE_RING0_TABLES : 0;
	/* in Dune mode it is used from several places on */
	vm->ring0_first = ring0_at ? DUNE_RING0_ALIAS : RING0_FIRST;
	vm->pt.alloc = pt_alloc;
	vm->pt.host = pt_host;
	vm->pt.ctx = vm;
	r = dune_pt_init(&vm->pt);
	if (!r)
		r = dune_ring0_init(vm);
	if (!r)
		r = open_vm(vm);
	return r;
}

/* The inherited vCPUs: unmapped and closed, or the old VM would live on. */
static void drop_vcpus(struct dune_vm *vm)
{
	struct dune_vcpu *c, *next;

	for (c = vm->all_vcpus; c; c = next) {
		next = c->next_all;
		munmap(c->run, vm->run_size);
		close(c->fd);
		munmap(c, sizeof(*c));
	}
	vm->all_vcpus = vm->free_vcpus = NULL;
	vm->vcpus = 0;
}

void dune_vm_destroy(struct dune_vm *vm)
{
	drop_vcpus(vm);
	if (vm->fd >= 0)
		close(vm->fd);
	if (vm->ring0 && vm->ring0 != MAP_FAILED)
		munmap(vm->ring0, DUNE_RING0_SIZE);
	if (vm->window && vm->window != MAP_FAILED)
		munmap(vm->window, WINDOW_TABLES);
	pthread_mutex_destroy(&vm->lock);
}

int dune_vm_rebuild(struct dune_vm *vm)
{
	unsigned int i;
	int r;

	drop_vcpus(vm);
	close(vm->fd);
	pthread_mutex_init(&vm->lock, NULL);
	r = open_vm(vm);
	if (!r && vm->vvar_host)
		r = set_slot(vm, SLOT_VVAR, GPA_VVAR, vm->vvar_host,
			     vm->vvar_size, KVM_MEM_READONLY);
	if (!r && vm->alias)
		r = alias_slot(vm);
	for (i = 0; !r && i < vm->windows; i++)
		r = window_slot(vm, i);
	return r;
}
