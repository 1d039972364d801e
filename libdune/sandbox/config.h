/* What the host tells a new monitor, in a memfd; the rules follow. */
#ifndef DUNE_SANDBOX_CONFIG_H
#define DUNE_SANDBOX_CONFIG_H

#include <stdint.h>

struct dune_box_config {
	uint32_t size;		/* sizeof, for both are of one build */
	uint32_t flags;		/* DUNE_SANDBOX_* */
	uint32_t threads;	/* all guest threads at once */
	uint32_t rules;		/* bytes of policy text that follow */
	uint64_t memory;
	uint64_t stack;
	uint64_t saved;		/* where in DUNE_BOX_RUNNER a saved process
				 * is, image.h; 0: that is the runner */
};

/* The descriptors that a new monitor finds: 3 and 4 are the runner's. */
enum {
	DUNE_BOX_CONFIG = 5,
	DUNE_BOX_BROKER,
	DUNE_BOX_REPORT,	/* a line a packet */
	DUNE_BOX_PHASE,		/* struct dune_phase */
	DUNE_BOX_RUNNER,	/* the program, or a file with a saved one */
	DUNE_BOX_FDS,
};

#endif
