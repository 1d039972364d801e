/*
 * Image decoders at their worst, all in one: a giflib that writes to address 0,
 * a libwebp that never ends, a libjpeg that wants a socket. A copy under the
 * name of the real one is loaded in place of it.
 */
#include <sys/socket.h>

int DGifOpen(void)
{
	*(volatile int *)0 = 1;
	return 0;
}

int WebPGetInfo(void)
{
	for (;;)
		;
}

int jpeg_std_error(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

/* The others have to be there. */
#define NEVER_CALLED(name) int name(void) { return 0; }
NEVER_CALLED(DGifGetRecordType)
NEVER_CALLED(DGifGetExtension)
NEVER_CALLED(DGifGetExtensionNext)
NEVER_CALLED(DGifGetImageDesc)
NEVER_CALLED(DGifGetLine)
NEVER_CALLED(GifErrorString)
NEVER_CALLED(DGifCloseFile)
NEVER_CALLED(WebPDecodeRGBAInto)
NEVER_CALLED(jpeg_CreateDecompress)
NEVER_CALLED(jpeg_mem_src)
NEVER_CALLED(jpeg_read_header)
NEVER_CALLED(jpeg_start_decompress)
NEVER_CALLED(jpeg_read_scanlines)
NEVER_CALLED(jpeg_finish_decompress)
NEVER_CALLED(jpeg_destroy_decompress)
