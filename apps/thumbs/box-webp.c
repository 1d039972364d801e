/* WebP in a sandbox: two calls. */
#include <errno.h>
#include "box.h"

int box_webp(struct worker *w)
{
	struct image *im = w->im;
	dune_addr width, height, got;
	int32_t size[2];
	int err, ok;

	err = box_alloc(w, sizeof(size), &width);
	if (err)
		return err;
	height = (dune_addr) { width.v + sizeof(size[0]) };
	err = CALL(w, WebPGetInfo, &ok, w->in, im->size, width, height);
	if (err)
		return err;
	if (!ok)
		return image_fail(im, -EINVAL, "WebP: header: corrupt");
	err = dune_sandbox_copy_out(w->box, size, width, sizeof(size));
	if (err)
		return err;
	if (size[0] <= 0 || size[1] <= 0)
		return image_fail(im, -EINVAL, "no pixels");
	err = box_room(w, size[0], size[1]);
	if (err)
		return err;
	err = CALL(w, WebPDecodeRGBAInto, &got, w->in, im->size, w->out,
		   (size_t)size[0] * size[1] * 4, size[0] * 4);
	if (err)
		return err;
	return got.v ? 0 : image_fail(im, -EINVAL,
				      "WebP: corrupt, truncated or animated");
}
