/* Every exported function but dune_errmsg() (kern/err.c). */
#include "dune.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include "kern/err.h"
#include "kern/self/self.h"

/* The probe's addresses are there once. */
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

/* Only documented errors leave the library. */
static int documented(int err)
{
	switch (err) {
	case 0: case -ENOENT: case -EACCES: case -ENOTSUP: case -ENOMEM:
	case -EINVAL:
		return err;
	case -ENODEV: case -ENXIO:
		return -ENOENT;
	case -EPERM:
		return -EACCES;
	default:
		return -EIO;
	}
}

/* Instructions of kern/self/guest.S that run in emulated ring 0. */
#define EMULATED_TRAP	10
#define EMULATED_FLUSH	11
#define EMULATED_RING3	(EMULATED_TRAP + 4 + 27)

int dune_caps(struct dune_caps *caps)
{
	struct dune_kvm_kind kind;
	struct dune_caps all;
	int fd, r;

	if (!caps || caps->size < offsetof(struct dune_caps, native_ring0))
		return dune_err(-EINVAL, "dune_caps: set the size field to "
				"sizeof(struct dune_caps) first");
	fd = dune_kvm_open();
	if (fd < 0)
		return documented(fd);
	pthread_mutex_lock(&one_at_a_time);
	r = dune_kvm_probe(fd, &kind, true);
	dune_kvm_probe_end();
	pthread_mutex_unlock(&one_at_a_time);
	close(fd);
	if (r)
		return documented(r);
	all = (struct dune_caps) {
		.size = caps->size,
		.native_ring0 = kind.native_ring0,
		.nested_paging = kind.host_pte_edits,
		.fsgsbase = kind.fsgsbase,
		.guest_tsc = kind.tsc_matches,
		.gpa_bits = kind.gpa_bits,
		.max_vcpus = kind.max_vcpus,
		.xcr0 = kind.xcr0,
		.pcid = dune_kind_pcid(&kind),
		.pages_1g = dune_kind_1g(&kind),
		.exits_call = 1, .exits_flush = 1,
		.emulated_trap = kind.native_ring0 ? 0 : EMULATED_TRAP,
		.emulated_flush = kind.native_ring0 ? 0 : EMULATED_FLUSH,
		.emulated_ring3 = kind.native_ring0 ? 0 : EMULATED_RING3,
		.exits_dirty = !kind.host_pte_edits,
	};
	memcpy(caps, &all, caps->size < sizeof(all) ? caps->size :
	       sizeof(all));
	return 0;
}

const char *dune_caps_kind(const struct dune_caps *caps)
{
	const struct dune_kvm_kind kind = {
		.native_ring0 = caps->native_ring0,
		.host_pte_edits = caps->nested_paging,
	};

	return dune_kvm_kind_name(&kind);
}

const char *dune_version(void)
{
	return DUNE_VERSION;
}
