/*
 * A giflib that decodes one pixel and, when it is told to let go of it, says
 * by libpng's callback how large the image is: much larger.
 */
#include <gif_lib.h>
#include <stdint.h>
#include <stdlib.h>

void thumbs_png_info(void *png, void *info);

static GifColorType color[1];
static ColorMapObject map = { .ColorCount = 1, .Colors = color };
static GifFileType gif = {
	.SWidth = 1, .SHeight = 1, .SColorMap = &map,
	.Image = { .Width = 1, .Height = 1 },
};

GifFileType *DGifOpen(void *user, InputFunc read, int *error)
{
	(void)user, (void)read, (void)error;
	return &gif;
}

int DGifGetRecordType(GifFileType *g, GifRecordType *type)
{
	(void)g;
	*type = IMAGE_DESC_RECORD_TYPE;
	return GIF_OK;
}

int DGifGetImageDesc(GifFileType *g)
{
	(void)g;
	return GIF_OK;
}

int DGifGetLine(GifFileType *g, GifPixelType *line, int len)
{
	(void)g;
	while (len)
		line[--len] = 0;
	return GIF_OK;
}

int DGifCloseFile(GifFileType *g, int *error)
{
	/* libpng keeps width and height first */
	static uint32_t info[64] = { 4000, 4000 }, png[1024];

	(void)g, (void)error;
	thumbs_png_info(png, info);
	return GIF_OK;
}

int DGifGetExtension(GifFileType *g, int *code, GifByteType **bytes)
{
	(void)g, (void)code, (void)bytes;
	return GIF_ERROR;
}

int DGifGetExtensionNext(GifFileType *g, GifByteType **bytes)
{
	(void)g, (void)bytes;
	return GIF_ERROR;
}

const char *GifErrorString(int error)
{
	(void)error;
	return NULL;
}
