/*
 * Seccomp filters by kind. All kinds are compiled when Dune is built, because
 * compiling one takes longer than starting a program.
 */
#ifndef DUNE_KERN_FILTER_H
#define DUNE_KERN_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>

/* All that a filter depends on. */
struct dune_filter_kind {
	bool sockets;		/* sockets of the internet families */
	bool net_ioctls;	/* questions about interfaces */
	bool guard_truncation;	/* Landlock does not see O_TRUNC */
};

#define DUNE_FILTER_KINDS 8

static inline struct dune_filter_kind dune_filter_kind(unsigned int i)
{
	return (struct dune_filter_kind){ i & 1, i & 2, i & 4 };
}

static inline unsigned int dune_filter_index(struct dune_filter_kind k)
{
	return k.sockets | k.net_ioctls << 1 | k.guard_truncation << 2;
}

/* Compiles one by libseccomp; out->filter is malloc'd. 0 or -errno. */
int dune_filter_compile(const struct dune_filter_kind *kind,
			struct sock_fprog *out);

/* Those of the build, by index. */
extern const struct sock_fprog dune_filters[DUNE_FILTER_KINDS];

/* Is the call one that ends the process? No row may forward these. */
bool dune_seccomp_never(long nr);

#endif
