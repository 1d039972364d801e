/* Bytes in memory, to be read as a file is. */
#ifndef TESTS_UNIT_BYTES_H
#define TESTS_UNIT_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
	const uint8_t *data;
	size_t size;
};

static inline long read_at(void *ctx, void *buf, size_t len,
			   uint64_t off)
{
	const struct bytes *b = ctx;

	if (off >= b->size)
		return 0;
	if (len > b->size - off)
		len = b->size - off;
	memcpy(buf, b->data + off, len);
	return len;
}

#endif
