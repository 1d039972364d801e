/* Between in-box.c, which runs in the sandbox, and the host. */
#ifndef THUMBS_IN_BOX_H
#define THUMBS_IN_BOX_H

#include <stdint.h>

/* Where libpng's rows go. */
struct in_box_rows {
	uint64_t pixels;		/* an address in the sandbox */
	uint64_t stride, height;
};

#endif
