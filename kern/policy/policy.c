/* The policy as data: strings, path rules, what a path may be used for. */
#include "kern/policy/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "kern/err.h"
#include "kern/policy/internal.h"
#include "kern/types.h"

/* What a dynamically linked program reads before its first own line. */
static const char *const libraries[] = {
	"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib",
	"/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/ld.so.conf",
	"/etc/ld.so.conf.d",
};

/* Devices that hold nothing and lead nowhere. */
static const char *const devices[] = {
	"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom",
	"/dev/tty",
};

void dune_policy_init(struct dune_policy *p)
{
	memset(p, 0, sizeof(*p));
	p->version = sizeof(*p);
	p->pathbuf_used = 1;
	p->fsize = UINT64_MAX;
	p->trace_fd = -1;
	p->report_fd = -1;
}

const char *dune_policy_string(const struct dune_policy *p, uint32_t off)
{
	return off < sizeof(p->pathbuf) ? p->pathbuf + off : "";
}

int dune_policy_store(struct dune_policy *p, const char *s, uint32_t *off)
{
	size_t len = strlen(s) + 1;

	if (len > sizeof(p->pathbuf) - p->pathbuf_used)
		return dune_err(-E2BIG, "%.64s: no room left in the policy; "
				"use fewer or shorter rules", s);
	*off = p->pathbuf_used;
	memcpy(p->pathbuf + *off, s, len);
	p->pathbuf_used += len;
	return 0;
}

/* A second rule for the same path adds its rights to the first. */
static int add_rule(struct dune_policy *p, const char *path,
		    struct dune_policy_path rule)
{
	int err;

	for (unsigned int i = 0; i < p->paths; i++) {
		struct dune_policy_path *old = &p->path[i];

		if (strcmp(p->pathbuf + old->off, path) != 0)
			continue;
		old->write |= rule.write;
		old->ioctl |= rule.ioctl;
		old->list &= rule.list;
		old->shared &= rule.shared;
		return 0;
	}
	if (p->paths == DUNE_POLICY_PATHS)
		return dune_err(-E2BIG, "%s: more than %d path rules; name a "
				"directory above several of them", path,
				DUNE_POLICY_PATHS);
	err = dune_policy_store(p, path, &rule.off);
	if (err)
		return err;
	p->path[p->paths++] = rule;
	return 0;
}

/*
 * Terminals are devices whose ioctls programs need; those of disks, GPUs and
 * /dev/kvm are a way into drivers, which a path rule alone must not open.
 * Majors: Documentation/admin-guide/devices.txt.
 */
static bool is_terminal(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return false;
	if (S_ISDIR(st.st_mode))
		return strcmp(path, "/dev/pts") == 0;
	if (!S_ISCHR(st.st_mode))
		return false;
	switch (major(st.st_rdev)) {
	case 4:				/* tty1, ttyS0 */
	case 5:				/* tty, console, ptmx */
	case 136 ... 143:		/* pts */
		return true;
	}
	return false;
}

static int resolve(const char *path, char *real)
{
	if (realpath(path, real))
		return 0;
	return dune_err(-errno, "%s: %s; name a path that exists", path,
			strerror(errno));
}

int dune_policy_add_path(struct dune_policy *p, const char *path, bool write)
{
	char real[PATH_MAX];
	int err = resolve(path, real);

	if (err)
		return err;
	return add_rule(p, real, (struct dune_policy_path){
		.write = write,
		.ioctl = write && is_terminal(real),
	});
}

static int add_existing(struct dune_policy *p, const char *path,
			struct dune_policy_path rule)
{
	char real[PATH_MAX];

	return realpath(path, real) ? add_rule(p, real, rule) : 0;
}

int dune_policy_add_libraries(struct dune_policy *p)
{
	int err = 0;

	for (size_t i = 0; !err && i < DUNE_ARRAY_SIZE(libraries); i++)
		err = add_existing(p, libraries[i],
				   (struct dune_policy_path){ 0 });
	return err;
}

int dune_policy_add_defaults(struct dune_policy *p)
{
	int err = dune_policy_add_libraries(p);

	for (size_t i = 0; !err && i < DUNE_ARRAY_SIZE(devices); i++)
		err = add_existing(p, devices[i], (struct dune_policy_path){
			.write = true, .ioctl = true, .shared = true,
		});
	if (!err)
		err = add_existing(p, "/proc", (struct dune_policy_path){
			.list = true,
		});
	return err;
}

bool dune_policy_path_allowed(const struct dune_policy *p, const char *path,
			      bool write)
{
	for (unsigned int i = 0; i < p->paths; i++) {
		const char *rule = p->pathbuf + p->path[i].off;
		size_t len = strlen(rule);

		if (write && (!p->path[i].write || p->path[i].shared))
			continue;
		if (strcmp(rule, "/") == 0)
			return true;
		if (strncmp(path, rule, len) == 0 &&
		    (path[len] == '/' || path[len] == '\0'))
			return true;
	}
	return false;
}
