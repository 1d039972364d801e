/*
 * Vectored I/O: the vector is copied in, its ranges are checked, and the
 * kernel gets the copy.
 */
#include <limits.h>
#include <sys/uio.h>

#include "kern/mm/uaccess.h"
#include "kern/sys/internal.h"

long dune_iov_copy(struct iovec *iov, dune_gva_t from, uint64_t count)
{
	if (count > IOV_MAX)
		return -EINVAL;
	if (dune_copy_in(iov, from, count * sizeof(*iov)))
		return -EFAULT;
	for (uint64_t i = 0; i < count; i++) {
		if ((int64_t)iov[i].iov_len < 0)
			return -EINVAL;
		if (iov[i].iov_len &&
		    !dune_access_ok((dune_gva_t)iov[i].iov_base,
				    iov[i].iov_len))
			return -EFAULT;
	}
	return 0;
}

long dune_sys_iov(struct dune_task *t, struct dune_call *c)
{
	struct dune_scratch s;
	uint64_t n = c->arg[2];
	long ret;

	(void)t;
	if (n > IOV_MAX)
		return -EINVAL;
	if (dune_scratch_get(&s, n * sizeof(struct iovec)))
		return -ENOMEM;
	ret = n ? dune_iov_copy(s.p, c->arg[1], n) : 0;
	c->arg[1] = (uintptr_t)s.p;
	if (!ret)
		ret = dune_forward_call(c);
	dune_scratch_put(&s);
	return ret;
}
