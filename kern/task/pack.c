/* Bytes as a C string and back. */
#include "kern/task/pack.h"

#include <errno.h>
#include <string.h>

enum {
	ZEROES = 1,		/* and how many follows, 1-255 */
	LITERAL = 2,		/* and a byte that is one of these follows */
};

long dune_pack(const void *in, size_t len, char *out, size_t size)
{
	const unsigned char *p = in, *end = p + len;
	size_t n = 0;

	while (p < end) {
		if (size < 3 || n > size - 3)
			return -E2BIG;
		if (*p == 0) {
			unsigned int run = 0;

			while (p < end && *p == 0 && run < 255)
				p++, run++;
			out[n++] = ZEROES;
			out[n++] = (char)run;
			continue;
		}
		if (*p == ZEROES || *p == LITERAL)
			out[n++] = LITERAL;
		out[n++] = (char)*p++;
	}
	if (n >= size)
		return -E2BIG;
	out[n] = '\0';
	return (long)n;
}

int dune_unpack(const char *in, void *out, size_t size)
{
	const unsigned char *p = (const unsigned char *)in;
	unsigned char *to = out;
	size_t n = 0, run;

	while (*p) {
		if (*p == ZEROES) {
			run = p[1];
			if (run == 0 || run > size - n)
				return -EINVAL;
			memset(to + n, 0, run);
			n += run;
			p += 2;
			continue;
		}
		if (*p == LITERAL && *++p == 0)
			return -EINVAL;
		if (n == size)
			return -EINVAL;
		to[n++] = *p++;
	}
	return n == size ? 0 : -EINVAL;
}
