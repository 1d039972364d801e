/*
 * Tagged memory. The header may be an sthread's to write: nothing hangs on it.
 */
#include "wedge.h"

struct tag {
	uint64_t used;
	uint64_t reserved;
};

tag_t tag_new(void)
{
	/* shared: whatever maps it, it is the same page */
	struct tag *t = mmap(NULL, TAG_SIZE, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (t == MAP_FAILED)
		return NULL;
	t->used = sizeof(*t);
	return t;
}

void *smalloc(tag_t tag, size_t size)
{
	uint64_t off;

	if (size > TAG_SIZE)
		return NULL;
	size = (size + 15) & ~15ul;
	off = __atomic_fetch_add(&tag->used, size, __ATOMIC_RELAXED);
	if (off > TAG_SIZE || size > TAG_SIZE - off) {
		__atomic_fetch_sub(&tag->used, size, __ATOMIC_RELAXED);
		return NULL;
	}
	return (char *)tag + off;
}
