/*
 * Makes images for tests/plugin/apps: of all kinds that the libraries write, in
 * DIR/good; the same cut short and with a few bytes changed, and images that
 * promise too much, in DIR/bad.
 */
#include <gif_lib.h>
#include <png.h>
#include <stdio.h>
#include <jpeglib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <webp/encode.h>

enum { W = 61, H = 37 };

static const char *dir;
static char path[4096];

static const char *good(const char *name)
{
	snprintf(path, sizeof(path), "%s/good/%s", dir, name);
	return path;
}

static FILE *create(const char *name)
{
	FILE *f = fopen(name, "wb");

	if (!f) {
		perror(name);
		exit(1);
	}
	return f;
}

/* A picture, of bytes: what they mean depends on the format. */
static unsigned char pixel(int x, int y, int c)
{
	return x * (c + 3) + y * (7 - c) + (x * y >> 3) + c * 50;
}

static void make_png(int type, int depth, int interlaced, int trans)
{
	png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL,
						  NULL, NULL);
	png_infop info = png_create_info_struct(png);
	png_color palette[256];
	png_byte alpha[256], row[W * 8];
	png_color_16 clear = { .index = 1, .red = 5, .green = 6, .blue = 7,
			       .gray = 1 };
	char name[64];
	FILE *f;
	int passes, colors = 1 << (depth > 8 ? 8 : depth);

	snprintf(name, sizeof(name), "type%d-depth%d%s%s.png", type, depth,
		 interlaced ? "-interlaced" : "", trans ? "-trans" : "");
	f = create(good(name));
	png_init_io(png, f);
	png_set_IHDR(png, info, W, H, depth, type, interlaced ?
		     PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, 0, 0);
	for (int i = 0; i < 256; i++) {
		palette[i] = (png_color) { i, 255 - i, i * 7 };
		alpha[i] = i * 3;
	}
	if (type == PNG_COLOR_TYPE_PALETTE)
		png_set_PLTE(png, info, palette, colors);
	if (trans)
		png_set_tRNS(png, info, alpha, colors, &clear);
	png_write_info(png, info);
	passes = png_set_interlace_handling(png);
	while (passes--) {
		for (int y = 0; y < H; y++) {
			for (int i = 0; i < (int)sizeof(row); i++)
				row[i] = pixel(i, y, 1);
			png_write_row(png, row);
		}
	}
	png_write_end(png, info);
	png_destroy_write_struct(&png, &info);
	fclose(f);
}

static void make_pngs(void)
{
	static const struct { int type, least, most; } kind[] = {
		{ PNG_COLOR_TYPE_GRAY, 1, 16 },
		{ PNG_COLOR_TYPE_RGB, 8, 16 },
		{ PNG_COLOR_TYPE_PALETTE, 1, 8 },
		{ PNG_COLOR_TYPE_GRAY_ALPHA, 8, 16 },
		{ PNG_COLOR_TYPE_RGB_ALPHA, 8, 16 },
	};

	for (int k = 0; k < 5; k++)
		for (int d = kind[k].least; d <= kind[k].most; d *= 2)
			for (int i = 0; i < 2; i++)
				make_png(kind[k].type, d, i, i && !(kind[k].type
					 & PNG_COLOR_MASK_ALPHA));
}

static void make_jpeg(const char *name, int parts, int progressive,
		      int sampling)
{
	struct jpeg_compress_struct c;
	struct jpeg_error_mgr e;
	FILE *f = create(good(name));

	c.err = jpeg_std_error(&e);
	jpeg_create_compress(&c);
	jpeg_stdio_dest(&c, f);
	c.image_width = W;
	c.image_height = H;
	c.input_components = parts;
	c.in_color_space = parts == 1 ? JCS_GRAYSCALE : JCS_RGB;
	jpeg_set_defaults(&c);
	c.comp_info[0].h_samp_factor = sampling;
	c.comp_info[0].v_samp_factor = sampling;
	if (progressive)
		jpeg_simple_progression(&c);
	jpeg_start_compress(&c, TRUE);
	for (int y = 0; y < H; y++) {
		unsigned char row[W * 3];
		JSAMPROW p = row;

		for (int i = 0; i < W * parts; i++)
			row[i] = pixel(i / parts, y, i % parts) / 2 + y;
		jpeg_write_scanlines(&c, &p, 1);
	}
	jpeg_finish_compress(&c);
	jpeg_destroy_compress(&c);
	fclose(f);
}

static void make_gif(const char *name, int interlaced, int frames, int clear,
		     int local, int left)
{
	static const int first[] = { 0, 4, 2, 1 }, step[] = { 8, 8, 4, 2 };
	int err, h = H - left, w = W - left;
	GifFileType *g = EGifOpenFileName(good(name), 0, &err);
	ColorMapObject *map = GifMakeMapObject(64, NULL);
	GraphicsControlBlock gcb = { .DelayTime = 5,
				     .TransparentColor = clear };
	GifByteType ext[4], row[W];

	for (int i = 0; i < 64; i++)
		map->Colors[i] = (GifColorType) { i * 4, 255 - i, i * 9 };
	EGifSetGifVersion(g, 1);
	EGifPutScreenDesc(g, W, H, 6, 0, local ? NULL : map);
	for (int n = 0; n < frames; n++) {
		if (clear >= 0 || frames > 1) {
			EGifGCBToExtension(&gcb, ext);
			EGifPutExtension(g, GRAPHICS_EXT_FUNC_CODE, 4, ext);
		}
		EGifPutImageDesc(g, left, left, w, h, interlaced,
				 local ? map : NULL);
		for (int pass = 0; pass < (interlaced ? 4 : 1); pass++)
			for (int y = interlaced ? first[pass] : 0; y < h;
			     y += interlaced ? step[pass] : 1) {
				for (int x = 0; x < w; x++)
					row[x] = (pixel(x, y, n) >> 2) & 63;
				EGifPutLine(g, row, w);
			}
	}
	GifFreeMapObject(map);
	EGifCloseFile(g, &err);
}

static void make_webp(const char *name, int lossless)
{
	static unsigned char rgba[W * H * 4];
	uint8_t *out;
	size_t len;
	FILE *f = create(good(name));

	for (int i = 0; i < W * H * 4; i++)
		rgba[i] = pixel(i / 4 % W, i / 4 / W, i % 4);
	len = lossless ? WebPEncodeLosslessRGBA(rgba, W, H, W * 4, &out) :
		WebPEncodeRGBA(rgba, W, H, W * 4, 60, &out);
	fwrite(out, 1, len, f);
	WebPFree(out);
	fclose(f);
}

static size_t slurp(const char *name, unsigned char *to, size_t room)
{
	FILE *f = fopen(good(name), "rb");
	size_t n = f ? fread(to, 1, room, f) : 0;

	if (f)
		fclose(f);
	return n;
}

static void spill(const char *what, const char *name, const void *p, size_t n)
{
	FILE *f;

	snprintf(path, sizeof(path), "%s/bad/%s-%s", dir, what, name);
	f = create(path);
	fwrite(p, 1, n, f);
	fclose(f);
}

static void spoil(const char *name)
{
	static unsigned char data[1 << 20], copy[1 << 20];
	size_t n = slurp(name, data, sizeof(data));
	unsigned int seed = 1;

	spill("cut", name, data, n * 2 / 3);
	spill("head", name, data, 13);
	for (int i = 0; i < 3; i++) {
		char what[16];

		snprintf(what, sizeof(what), "fuzz%d", i);
		memcpy(copy, data, n);
		for (int k = 0; k < 8; k++) {
			seed = seed * 1103515245 + 12345;
			copy[12 + seed % (n - 12)] = seed >> 16;
		}
		spill(what, name, copy, n);
	}
}

/* Pictures of 60000 x 60000 pixels, as their headers say. */
static void bombs(void)
{
	static const unsigned char gif[] =
		"GIF89a\x60\xea\x60\xea\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0"
		"\x60\xea\x60\xea\0\2\2\x44\1\0;";
	static unsigned char data[1 << 20];
	size_t n = slurp("color-444.jpg", data, sizeof(data));

	spill("bomb", "x.gif", gif, sizeof(gif) - 1);
	for (size_t i = 0; i + 9 < n; i++) {
		if (data[i] == 0xff && data[i + 1] == 0xc0) {
			memcpy(data + i + 5, "\xea\x60\xea\x60", 4);
			break;
		}
	}
	spill("bomb", "x.jpg", data, n);
	/* with its sum of the header */
	n = slurp("type2-depth8.png", data, sizeof(data));
	memcpy(data + 16, "\0\0\xea\x60\0\0\xea\x60", 8);
	memcpy(data + 29, "\x0f\xb0\xe2\x15", 4);
	spill("bomb", "x.png", data, n);
	spill("no", "image.png", "hello, this is text\n", 20);
	spill("no", "data.jpg", "", 0);
}

int main(int argc, char **argv)
{
	static const char *const spoilt[] = {
		"type2-depth8.png", "type3-depth4-interlaced-trans.png",
		"color-444.jpg", "progressive.jpg", "plain.gif",
		"interlaced.gif", "lossy.webp", "lossless.webp",
	};

	if (argc != 2)
		return 2;
	dir = argv[1];
	mkdir(good(""), 0777);
	snprintf(path, sizeof(path), "%s/bad", dir);
	mkdir(path, 0777);
	make_pngs();
	make_jpeg("gray.jpg", 1, 0, 1);
	make_jpeg("color-444.jpg", 3, 0, 1);
	make_jpeg("color-420.jpg", 3, 0, 2);
	make_jpeg("progressive.jpg", 3, 1, 2);
	make_gif("plain.gif", 0, 1, -1, 0, 0);
	make_gif("interlaced.gif", 1, 1, -1, 0, 0);
	make_gif("animated.gif", 0, 3, -1, 0, 0);
	make_gif("transparent <&>.gif", 1, 2, 5, 1, 7);
	make_webp("lossy.webp", 0);
	make_webp("lossless.webp", 1);
	for (size_t i = 0; i < sizeof(spoilt) / sizeof(spoilt[0]); i++)
		spoil(spoilt[i]);
	bombs();
	return 0;
}
