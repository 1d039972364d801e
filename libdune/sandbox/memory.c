/* Memory of the plugin: the transfer heap, and copies to and from any of it. */
#include "libdune/sandbox/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include "kern/err.h"

int dune_sandbox_alloc(struct dune_sandbox *s, size_t size, dune_addr *addr)
{
	uint64_t at = 0;
	int r;

	pthread_rwlock_rdlock(&s->box_lock);
	r = dune_heap_alloc(&s->box->heap, size, &at);
	pthread_rwlock_unlock(&s->box_lock);
	addr->v = r ? 0 : DUNE_CH_BASE + DUNE_CH_HEAP + at;
	return r ? dune_err(r, "transfer heap: no room for %zu bytes; raise "
			    "the option heap", size) : 0;
}

int dune_sandbox_free(struct dune_sandbox *s, dune_addr addr)
{
	int r;

	pthread_rwlock_rdlock(&s->box_lock);
	r = dune_heap_free(&s->box->heap,
			   addr.v - DUNE_CH_BASE - DUNE_CH_HEAP);
	pthread_rwlock_unlock(&s->box_lock);
	return r ? dune_err(r, "transfer heap: %#lx is not allocated",
			    (unsigned long)addr.v) : 0;
}

void *dune_sandbox_pointer(struct dune_sandbox *s, dune_addr addr, size_t len)
{
	uint64_t at = addr.v - DUNE_CH_BASE;
	void *p = NULL;

	pthread_rwlock_rdlock(&s->box_lock);
	if (addr.v >= DUNE_CH_BASE + DUNE_CH_HEAP &&
	    at <= s->box->ch_size && len <= s->box->ch_size - at)
		p = (char *)s->box->ch + at;
	pthread_rwlock_unlock(&s->box_lock);
	if (!p)
		dune_err(-EFAULT, "%#lx: not %zu bytes of the transfer heap",
			 (unsigned long)addr.v, len);
	return p;
}

/* Its monitor's memory, above the guest's, is nobody's business. */
static bool in_guest(uint64_t addr, size_t len)
{
	return addr >= GUEST_LO && addr < GUEST_HI && len <= GUEST_HI - addr;
}

typedef ssize_t copier(pid_t pid, const struct iovec *here, unsigned long n,
		       const struct iovec *there, unsigned long m,
		       unsigned long flags);

static int copy(struct dune_sandbox *s, copier *fn, void *here, uint64_t there,
		size_t len)
{
	int r = -EFAULT;
	ssize_t n;

	if (!len)
		return 0;
	pthread_rwlock_rdlock(&s->box_lock);
	if (dune_box_dead(s->box))
		r = -ESTALE;
	else if (in_guest(there, len))
		r = 0;
	while (!r && len) {
		const struct iovec mine = { here, len };
		const struct iovec its = { (void *)there, len };

		n = fn(s->box->pid, &mine, 1, &its, 1, 0);
		if (n <= 0) {
			r = n < 0 && errno == ESRCH ? -ESTALE :
			    n < 0 && errno == EPERM ? -EPERM : -EFAULT;
			break;
		}
		here = (char *)here + n;
		there += n;
		len -= n;
	}
	pthread_rwlock_unlock(&s->box_lock);
	if (r == -EPERM)
		return dune_err(-EFAULT, "memory of the sandbox: not "
				"permitted; kernel.yama.ptrace_scope must be "
				"0 or 1");
	return r ? dune_err(r, r == -ESTALE ? "sandbox: dead" :
			    "%#lx: not all of it is the plugin's memory",
			    (unsigned long)there) : 0;
}

int dune_sandbox_copy_in(struct dune_sandbox *s, dune_addr to,
			 const void *from, size_t len)
{
	void *p = dune_sandbox_pointer(s, to, len);

	if (p) {
		memcpy(p, from, len);
		return 0;
	}
	return copy(s, process_vm_writev, (void *)from, to.v, len);
}

int dune_sandbox_copy_out(struct dune_sandbox *s, void *to, dune_addr from,
			  size_t len)
{
	const void *p = dune_sandbox_pointer(s, from, len);

	if (p) {
		memcpy(to, p, len);
		return 0;
	}
	return copy(s, process_vm_readv, to, from.v, len);
}

long dune_sandbox_copy_string(struct dune_sandbox *s, char *to, dune_addr from,
			      size_t size)
{
	size_t done = 0;

	while (done < size) {
		/* to the end of a page: the next may not be there */
		size_t n = 4096 - (from.v + done) % 4096;
		char *end;
		int r;

		if (n > size - done)
			n = size - done;
		r = dune_sandbox_copy_out(s, to + done,
					  (dune_addr){ from.v + done }, n);
		if (r)
			return r;
		end = memchr(to + done, '\0', n);
		if (end)
			return end - to;
		done += n;
	}
	if (size)
		to[size - 1] = '\0';
	return dune_err(-ENAMETOOLONG, "string of the plugin: longer than %zu "
			"bytes", size ? size - 1 : 0);
}
