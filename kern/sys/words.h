/*
 * What the words in rows-*.inc mean, for a table of struct dune_sysrow. The
 * file that includes this says with ROW_HANDLER(h) what it makes of handlers'
 * names.
 */
#ifndef DUNE_KERN_SYS_WORDS_H
#define DUNE_KERN_SYS_WORDS_H

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>

#include "kern/sys/numbers.h"
#include "kern/sys/sys.h"

/* Arguments that are numbers or strings. */
#define INT		{ .kind = DUNE_A_INT }
#define SIZE		{ .kind = DUNE_A_INT }
#define HEX		{ .kind = DUNE_A_HEX }
#define OCT		{ .kind = DUNE_A_OCT }
#define SIG		{ .kind = DUNE_A_SIG }
#define FD		{ .kind = DUNE_A_FD }
#define ATFD		{ .kind = DUNE_A_ATFD }
#define PID		{ .kind = DUNE_A_PID }
#define PATH		{ .kind = DUNE_A_PATH }
#define STR		{ .kind = DUNE_A_STR }
#define ADDR		{ .kind = DUNE_A_ADDR }
#define ADDR_A(n)	PTR(ADDR, ARG, n, 0)

/*
 * Pointers. _B(bytes), _S(type), _A(n): arg[n] bytes, _X(n, size): arg[n]
 * elements, _P(n, max): length at the pointer arg[n]; bare: only the start is
 * checked here, because a handler checks the rest or the length depends on
 * other things (the kernel then meets the guard behind the arena).
 */
#define PTR(k, r, i, s)	{ DUNE_A_##k, DUNE_L_##r, i, s }
#define IN		PTR(IN, NONE, 0, 0)
#define OUT		PTR(OUT, NONE, 0, 0)
#define INOUT		PTR(INOUT, NONE, 0, 0)
#define IN_B(s)		PTR(IN, BYTES, 0, s)
#define OUT_B(s)	PTR(OUT, BYTES, 0, s)
#define INOUT_B(s)	PTR(INOUT, BYTES, 0, s)
#define IN_S(t)		IN_B(sizeof(t))
#define OUT_S(t)	OUT_B(sizeof(t))
#define INOUT_S(t)	INOUT_B(sizeof(t))
#define IN_A(n)		PTR(IN, ARG, n, 0)
#define IN_A32(n)	PTR(IN, ARG32, n, 0)
#define OUT_A(n)	PTR(OUT, ARG, n, 0)
#define OUT_A32(n)	PTR(OUT, ARG32, n, 0)
#define IN_X(n, s)	PTR(IN, ARG_X, n, s)
#define IN_X32(n, s)	PTR(IN, ARG32_X, n, s)
#define OUT_X32(n, s)	PTR(OUT, ARG32_X, n, s)
#define INOUT_X32(n, s)	PTR(INOUT, ARG32_X, n, s)
#define OUT_P(n, max)	PTR(OUT, PTR32, n, max)
#define OUT_PAGES(n)	PTR(OUT, PAGES, n, 0)

/* Actions. The arguments of a refused call are there for --trace. */
#define ARGS(...)	.arg = { __VA_ARGS__ }
#define DO_FORWARD	.action = DUNE_DO_FORWARD
#define DO_EMULATE(h)	.action = DUNE_DO_EMULATE, .handler = ROW_HANDLER(h)
#define FORWARD(...)	{ DO_FORWARD, ARGS(__VA_ARGS__) }
#define FORWARD_FD(...)	\
	{ DO_FORWARD, .flags = DUNE_F_RETFD, ARGS(__VA_ARGS__) }
#define CREDS(...)	\
	{ DO_FORWARD, .flags = DUNE_F_CREDS, ARGS(__VA_ARGS__) }
#define EMULATE(h, ...)	{ DO_EMULATE(h), ARGS(__VA_ARGS__) }
#define EMULATE_FD(h, ...) \
	{ DO_EMULATE(h), .flags = DUNE_F_RETFD, ARGS(__VA_ARGS__) }
#define EMULATE_CLOSES(h, ...) \
	{ DO_EMULATE(h), .flags = DUNE_F_CLOSES, ARGS(__VA_ARGS__) }
#define EMULATE_FD_CLOSES(h, ...) \
	{ DO_EMULATE(h), .flags = DUNE_F_RETFD | DUNE_F_CLOSES, \
	  ARGS(__VA_ARGS__) }
#define EMULATE_NR(h, ...) \
	{ DO_EMULATE(h), .flags = DUNE_F_NORETURN, ARGS(__VA_ARGS__) }
#define REFUSE(e, ...)	\
	{ .action = DUNE_DO_REFUSE, .err = e, ARGS(__VA_ARGS__) }
#define IPC(do, ...)	IPC_##do(__VA_ARGS__)
#define IPC_FORWARD(...) \
	{ DO_FORWARD, .group = DUNE_G_IPC, ARGS(__VA_ARGS__) }
#define IPC_FORWARD_FD(...) \
	{ DO_FORWARD, .group = DUNE_G_IPC, .flags = DUNE_F_RETFD, \
	  ARGS(__VA_ARGS__) }
#define IPC_EMULATE(h, ...) \
	{ DO_EMULATE(h), .group = DUNE_G_IPC, ARGS(__VA_ARGS__) }

/* PROXY(way, what is done, ...): the proxy may serve it. */
#define PROXY(way, do, ...)	PROXY_##do(DUNE_PROXY_##way, __VA_ARGS__)
#define PROXY_FORWARD(w, ...)	{ DO_FORWARD, .proxy = w, ARGS(__VA_ARGS__) }
#define PROXY_FORWARD_FD(w, ...) \
	{ DO_FORWARD, .proxy = w, .flags = DUNE_F_RETFD, ARGS(__VA_ARGS__) }
#define PROXY_FORWARD_CLOSES(w, ...) \
	{ DO_FORWARD, .proxy = w, .flags = DUNE_F_CLOSES, ARGS(__VA_ARGS__) }
#define PROXY_EMULATE(w, h, ...) \
	{ DO_EMULATE(h), .proxy = w, ARGS(__VA_ARGS__) }
#define PROXY_EMULATE_FD(w, h, ...) \
	{ DO_EMULATE(h), .proxy = w, .flags = DUNE_F_RETFD, ARGS(__VA_ARGS__) }

#define ROW(name, ...)	[__NR_##name] = __VA_ARGS__,

#endif
