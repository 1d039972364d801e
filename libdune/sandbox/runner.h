/* Between runner.c and invoke.S, whose offsets are checked there. */
#ifndef DUNE_SANDBOX_RUNNER_H
#define DUNE_SANDBOX_RUNNER_H

#include <stdint.h>
#include "libdune/sandbox/channel.h"

/* A call into the plugin: registers in, registers out. */
struct invoke {
	uint64_t sp;		/* 0: where to unwind to */
	uint64_t fn;		/* 8 */
	uint64_t gp[DUNE_CH_GP];	/* 16 */
	uint64_t fp[DUNE_CH_FP];	/* 64 */
	uint64_t stacks;	/* 128 */
	uint64_t stack[DUNE_CH_STACK];	/* 136 */
	uint64_t rax, rdx, xmm0;	/* 264 */
	uint64_t fps;			/* 288: are there any in fp[]? */
};

/* What a stub was called with; the number is the stub's. */
struct callback {
	uint64_t gp[DUNE_CH_GP];
	uint64_t fp[DUNE_CH_FP];	/* 48 */
	uint64_t number;	/* 112 */
	uint64_t sp;		/* 120: of its arguments on the stack */
	uint64_t rax, xmm0;	/* 128: results */
};

/* 0, or 1 when it was unwound. */
int runner_invoke(struct invoke *in);
void runner_unwind(struct invoke *in) __attribute__((noreturn));
/* Stubs jump here with their number in r11. */
extern char runner_callback_entry[];
void runner_callback(struct callback *cb);

#endif
