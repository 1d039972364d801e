/*
 * ioctl: a list of what is allowed, with what the third argument is. Unknown
 * requests get ENOTTY, as from a file that does not have them. Never on the
 * list: TIOCSTI and TIOCLINUX, which type for the user.
 */
#include <asm/termbits.h>
#include <linux/fs.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/sockios.h>
#include <linux/tty.h>
#include <linux/wireless.h>
#include <sys/syscall.h>
#include <asm/ioctls.h>

#include "kern/mm/uaccess.h"
#include "kern/sys/internal.h"
#include "kern/task/task.h"

enum how {
	NUMBER,		/* not followed */
	IN, OUT, INOUT,	/* a pointer to size bytes */
	NEW_FD,		/* a number; the result is a descriptor */
	ASYNC,		/* as IN, but see dune_fd_async() */
	NET,		/* a pointer, and only with --net */
	CONF,		/* struct ifconf, with --net */
};

static const struct request {
	uint32_t cmd;
	uint16_t size;
	uint8_t how;
} requests[] = {
	{ TCGETS,	sizeof(struct termios),	OUT },
	{ FIONREAD,	4,			OUT },
	{ FIONBIO,	4,			IN },
	{ FIOASYNC,	4,			ASYNC },
	{ FIOCLEX,	0,			NUMBER },
	{ FIONCLEX,	0,			NUMBER },
	{ FIOQSIZE,	8,			OUT },
	/* terminals */
	{ TCSETS,	sizeof(struct termios),	IN },
	{ TCSETSW,	sizeof(struct termios),	IN },
	{ TCSETSF,	sizeof(struct termios),	IN },
	{ TCGETS2,	sizeof(struct termios2), OUT },
	{ TCSETS2,	sizeof(struct termios2), IN },
	{ TCSETSW2,	sizeof(struct termios2), IN },
	{ TCSETSF2,	sizeof(struct termios2), IN },
	{ TCGETA,	18,			OUT },
	{ TCSETA,	18,			IN },
	{ TCSETAW,	18,			IN },
	{ TCSETAF,	18,			IN },
	{ TCSBRK,	0,			NUMBER },
	{ TCSBRKP,	0,			NUMBER },
	{ TCXONC,	0,			NUMBER },
	{ TCFLSH,	0,			NUMBER },
	{ TIOCSBRK,	0,			NUMBER },
	{ TIOCCBRK,	0,			NUMBER },
	{ TIOCEXCL,	0,			NUMBER },
	{ TIOCNXCL,	0,			NUMBER },
	{ TIOCGWINSZ,	8,			OUT },
	{ TIOCSWINSZ,	8,			IN },
	{ TIOCGPGRP,	4,			OUT },
	{ TIOCSPGRP,	4,			IN },
	{ TIOCGSID,	4,			OUT },
	{ TIOCOUTQ,	4,			OUT },
	{ TIOCGETD,	4,			OUT },
	{ TIOCMGET,	4,			OUT },
	{ TIOCNOTTY,	0,			NUMBER },
	{ TIOCSCTTY,	0,			NUMBER },
	{ TIOCGPTN,	4,			OUT },
	{ TIOCSPTLCK,	4,			IN },
	{ TIOCGPTLCK,	4,			OUT },
	{ TIOCGPTPEER,	0,			NEW_FD },
	{ TIOCPKT,	4,			IN },
	{ TIOCGPKT,	4,			OUT },
	/* files and block devices */
	{ FS_IOC_GETFLAGS, 8,			OUT },
	{ FS_IOC_GETVERSION, 8,			OUT },
	{ FS_IOC_FSGETXATTR, 28,		OUT },
	{ FIGETBSZ,	4,			OUT },
	{ BLKGETSIZE,	8,			OUT },
	{ BLKGETSIZE64,	8,			OUT },
	{ BLKSSZGET,	4,			OUT },
	{ BLKROGET,	4,			OUT },
	/* sockets */
	{ SIOCATMARK,	4,			OUT },
	{ SIOCOUTQNSD,	4,			OUT },
	{ SIOCGSTAMP_OLD, 16,			OUT },
	{ SIOCGSTAMPNS_OLD, 16,			OUT },
	{ SIOCGIFCONF,	sizeof(struct ifconf),	CONF },
	{ SIOCGIFNAME,	sizeof(struct ifreq),	NET },
	{ SIOCGIFINDEX,	sizeof(struct ifreq),	NET },
	{ SIOCGIFFLAGS,	sizeof(struct ifreq),	NET },
	{ SIOCGIFADDR,	sizeof(struct ifreq),	NET },
	{ SIOCGIFDSTADDR, sizeof(struct ifreq),	NET },
	{ SIOCGIFBRDADDR, sizeof(struct ifreq),	NET },
	{ SIOCGIFNETMASK, sizeof(struct ifreq),	NET },
	{ SIOCGIFHWADDR, sizeof(struct ifreq),	NET },
	{ SIOCGIFMETRIC, sizeof(struct ifreq),	NET },
	{ SIOCGIFMTU,	sizeof(struct ifreq),	NET },
	{ SIOCGIFTXQLEN, sizeof(struct ifreq),	NET },
};

/* What is known and not to be had: no violation, programs go on without. */
static const struct { uint32_t cmd; short err; } answers[] = {
	{ FICLONE,	EOPNOTSUPP },
	{ FICLONERANGE,	EOPNOTSUPP },
	{ FIDEDUPERANGE, EOPNOTSUPP },
	{ SIOCGIWNAME,	EOPNOTSUPP },
};

/* The list of interfaces goes to a buffer that the struct points to. */
static long ifconf(struct dune_call *c)
{
	dune_gva_t at = c->arg[2];
	struct ifconf conf;
	long ret;

	if (dune_copy_in(&conf, at, sizeof(conf)))
		return -EFAULT;
	if (conf.ifc_len < 0)
		return -EINVAL;
	if (!dune_range_ok((dune_gva_t)conf.ifc_buf, conf.ifc_len))
		return -EFAULT;
	c->arg[2] = (uintptr_t)&conf;
	ret = dune_forward_call(c);
	if (!ret)
		ret = dune_copy_out(at, &conf.ifc_len, sizeof(conf.ifc_len));
	return ret;
}

static const struct request *find(uint32_t cmd)
{
	for (size_t i = 0; i < DUNE_ARRAY_SIZE(requests); i++)
		if (requests[i].cmd == cmd)
			return &requests[i];
	return NULL;
}

static long refuse(struct dune_call *c, uint32_t cmd)
{
	if (cmd == TIOCSTI || cmd == TIOCLINUX)
		return dune_violation(c, "typing for the user", -EPERM);
	for (size_t i = 0; i < DUNE_ARRAY_SIZE(answers); i++)
		if (answers[i].cmd == cmd)
			return -answers[i].err;
	return dune_violation(c, "unknown ioctl", -ENOTTY);
}

long dune_sys_ioctl(struct dune_task *t, struct dune_call *c)
{
	const struct request *r = find(c->arg[1]);
	long ret;

	if (!r)
		return refuse(c, c->arg[1]);
	if (r->how >= NET && !dune_net_ok(t->proc->policy, c->nr))
		return dune_violation(c, "network without --net", -EACCES);
	if (r->how != NUMBER && r->how != NEW_FD &&
	    !dune_range_ok(c->arg[2], r->size))
		return -EFAULT;
	if (r->how == CONF)
		return ifconf(c);
	if (r->how == ASYNC)
		return dune_fd_async(t, c);
	ret = dune_forward_call(c);
	if (r->how == NEW_FD)
		ret = dune_fd_result(t->proc, ret);
	return ret;
}
