/* Arguments to messages and back: the x86-64 calling convention. Pure. */
#include "libdune/sandbox/internal.h"

#include <errno.h>
#include <string.h>
#include "kern/err.h"

int dune_marshal_call(struct dune_ch_msg *m, const struct dune_value *arg,
		      unsigned int args)
{
	unsigned int gps = 0, fps = 0, stacks = 0, i;

	if (args > DUNE_ARGS_MAX)
		return dune_err(-EINVAL, "%u arguments: at most %d", args,
				DUNE_ARGS_MAX);
	for (i = 0; i < args; i++) {
		bool fp = arg[i].type == DUNE_DOUBLE ||
			  arg[i].type == DUNE_FLOAT;

		if (!fp && arg[i].type != DUNE_INT)
			return dune_err(-EINVAL, "argument %u has the "
					"unknown type %u", i, arg[i].type);
		if (fp && fps < DUNE_CH_FP)
			m->fp[fps++] = arg[i].bits;
		else if (!fp && gps < DUNE_CH_GP)
			m->gp[gps++] = arg[i].bits;
		else
			m->stack[stacks++] = arg[i].bits;
	}
	m->kind = DUNE_CH_CALL;
	m->fps = fps;
	m->stacks = stacks;
	return 0;
}

void dune_marshal_callback(const struct dune_ch_msg *m, const uint8_t *type,
			   unsigned int n, uint64_t *value)
{
	unsigned int gps = 0, fps = 0, stacks = 0, i;

	for (i = 0; i < n; i++) {
		bool fp = type[i] == DUNE_DOUBLE || type[i] == DUNE_FLOAT;

		if (fp && fps < DUNE_CH_FP)
			value[i] = m->fp[fps++];
		else if (!fp && gps < DUNE_CH_GP)
			value[i] = m->gp[gps++];
		else
			value[i] = m->stack[stacks++];
	}
}

_Static_assert(DUNE_ARGS_MAX <= DUNE_CH_STACK, "all may be on the stack");
