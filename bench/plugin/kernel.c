/* The kernel that is compiled three ways. Freestanding: see kernel.h. */
#include "kernel.h"

struct px {
	unsigned char r, g, b, a;
};

int kernel_add(int a, int b)
{
	return a + b;
}

static unsigned int big_endian(const unsigned char *p)
{
	return (unsigned int)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

/* One chunk of at most 5 bytes. Returns how often the pixel is repeated. */
static unsigned int chunk(const unsigned char **at, struct px *px,
			  const struct px *seen)
{
	const unsigned char *p = *at;
	unsigned int b = *p++, run = 1;
	int d;

	if (b == 0xfe || b == 0xff) {
		px->r = p[0];
		px->g = p[1];
		px->b = p[2];
		if (b == 0xff)
			px->a = p[3];
		p += b == 0xff ? 4 : 3;
	} else if (b >> 6 == 0) {
		*px = seen[b];
	} else if (b >> 6 == 1) {
		px->r += (b >> 4 & 3) - 2;
		px->g += (b >> 2 & 3) - 2;
		px->b += (b & 3) - 2;
	} else if (b >> 6 == 2) {
		d = (int)(b & 63) - 32;
		px->r += d - 8 + (*p >> 4);
		px->g += d;
		px->b += d - 8 + (*p & 15);
		p++;
	} else {
		run = (b & 63) + 1;
	}
	*at = p;
	return run;
}

int kernel_decode(const unsigned char *file, unsigned int size,
		  unsigned char *rgba, unsigned int room)
{
	struct px seen[64] = { 0 }, px = { 0, 0, 0, 255 };
	const unsigned char *p = file + KERNEL_HEADER, *end = file + size;
	unsigned long long n;
	unsigned int run;

	if (size < KERNEL_HEADER || big_endian(file) != 0x716f6966)
		return -1;
	n = (unsigned long long)big_endian(file + 4) * big_endian(file + 8);
	if (n > room / 4)
		return -1;
	while (n) {
		if (end - p < 5)
			return -1;
		run = chunk(&p, &px, seen);
		seen[(px.r * 3 + px.g * 5 + px.b * 7 + px.a * 11) & 63] = px;
		for (; run && n; run--, n--, rgba += 4) {
			rgba[0] = px.r;
			rgba[1] = px.g;
			rgba[2] = px.b;
			rgba[3] = px.a;
		}
	}
	return 0;
}

#ifdef __wasm__
/* For file and pixels: wasm sees its own memory only. */
static unsigned char room[KERNEL_ROOM];

unsigned char *kernel_where(void);

unsigned char *kernel_where(void)
{
	return room;
}
#endif
