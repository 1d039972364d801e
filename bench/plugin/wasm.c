/*
 * The kernel as wasm, and that as C by wasm2c. What is beyond its memory are
 * pages that trap; nothing is set up to go on from there, which would cost
 * some of each call.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "decode.h"
#include "kernel.wasm.h"

static Z_kernel_instance_t instance;

const char *wasm_start(void)
{
	wasm_rt_init();
	Z_kernel_init_module();
	Z_kernel_instantiate(&instance);
	return NULL;
}

int wasm_add(int a, int b)
{
	return (int)Z_kernelZ_kernel_add(&instance, a, b) != a + b;
}

int decode_wasm(struct image *im)
{
	uint8_t *memory = Z_kernelZ_memory(&instance)->data;
	uint32_t at = Z_kernelZ_kernel_where(&instance);
	int err = qoi_room(im);

	if (err)
		return err;
	memcpy(memory + at, im->data, im->size);
	if (Z_kernelZ_kernel_decode(&instance, at, im->size, at + FILE_BYTES,
				    PIXEL_BYTES))
		return -EBADMSG;
	memcpy(im->pixels.rgba, memory + at + FILE_BYTES,
	       (size_t)im->pixels.width * im->pixels.height * 4);
	return 0;
}
