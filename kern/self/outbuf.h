/* Which memory the kernel reads and writes when it serves a system call. */
#ifndef DUNE_KERN_SELF_OUTBUF_H
#define DUNE_KERN_SELF_OUTBUF_H

#include "kern/sys/sys.h"

/*
 * Calls visit for every range that the kernel may write. More than is written
 * is told, never less: whole buffers, though less may come; a page, where the
 * length is not known. Reads vectors and headers of messages, which the caller
 * of the system call must leave alone as long as it runs. What is mapped there
 * is not asked. Not told is what the kernel writes after the call has returned
 * (io_submit(2), io_uring), and ctid at a thread's end.
 */
typedef void dune_outbuf_visit(void *ctx, uint64_t va, uint64_t len);
void dune_outbuf_each(long nr, const uint64_t arg[6],
		      dune_outbuf_visit *visit, void *ctx);

/*
 * The same for ranges that it writes or reads. Strings are told by their first
 * byte, and calls that the table does not know not at all.
 */
typedef void dune_buffer_visit(void *ctx, uint64_t va, uint64_t len,
			       bool write);
void dune_buffers_each(long nr, const uint64_t arg[6],
		       dune_buffer_visit *visit, void *ctx);

#endif
