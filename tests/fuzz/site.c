/* Matching a system call site: any bytes, any place. */
#include <stdlib.h>
#include <string.h>
#include "kern/gate/match.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t out[DUNE_TRAMPOLINE], patch[DUNE_SITE_PATCH], *code;
	const dune_gva_t far = 0x7f0000000000;
	dune_gva_t at, to;
	unsigned int moved;

	if (size < 3)
		return 0;
	at = far + data[0];
	size--;
	/* its own memory: a byte too many is seen */
	code = malloc(size + 2);
	if (!code)
		return 0;
	code[0] = 0x0f;
	code[1] = 0x05;
	memcpy(code + 2, data + 1, size);
	size += 2;
	if (size > DUNE_SITE_LOOK)
		size = DUNE_SITE_LOOK;
	code = realloc(code, size);
	moved = dune_site_match(code, size, at);
	if (moved) {
		if (moved > size - 2 || (moved != 1 && moved < 3) ||
		    DUNE_SITE_BACK + moved + 5 > DUNE_TRAMPOLINE)
			abort();
		for (to = at & ~63ul; !dune_site_reaches(at, to); to += 64)
			;
		dune_site_trampoline(out, to, at, code, moved, far);
		dune_site_patch(patch, at, to);
		if (patch[0] != 0xe9 || patch[2] != 0xcc ||
		    memcmp(out + DUNE_SITE_BACK, code + 2, moved) ||
		    out[DUNE_SITE_BACK + moved] != 0xe9)
			abort();
	}
	free(code);
	return 0;
}
