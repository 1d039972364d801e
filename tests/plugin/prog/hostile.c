/*
 * Hostile plugins: whatever they do, the host gets an answer in time, is not
 * changed, and can go on with a reset.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>

#include "tests/plugin/plugin.h"

#define SECOND 1000000000ul

static unsigned char canary[8192];
static struct dune_sandbox *box;
static struct dune_function jump_over;
static int callbacks;

static int host_call(struct dune_sandbox *b, void *ctx, int *r, int x)
{
	(void)b;
	(void)ctx;
	callbacks++;
	*r = x;
	if (x == 7) {
		int v = 0, err = call_int(&jump_over, &v, 1);

		/* its stack is gone: the sandbox cannot go on with this one */
		return err;
	}
	return 0;
}

DUNE_HOST_CALLBACK(host, "host_call", host_call, int, int);

static bool documented(int err)
{
	switch (err) {
	case 0: case -EFAULT: case -EPERM: case -ETIMEDOUT: case -ECHILD:
	case -ECANCELED: case -EPROTO: case -ESTALE:
		return true;
	}
	return false;
}

static void intact(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(canary); i++)
		if (canary[i] != 0xa5) {
			printf("%s: memory of the host has changed\n", name);
			failures++;
			return;
		}
}

/* So many calls more of those that go on writing to the channel. */
#define SCRIBBLES 3000

static const struct {
	const char *name;
	int arg;
	int error;	/* 1: any documented one */
	int calls;	/* more of them afterwards */
} attacks[] = {
	{ "scribble", 0, 1, SCRIBBLES },
	{ "scribble_all", 0, 1, SCRIBBLES },
	{ "answer", 0, 1, SCRIBBLES },
	{ "unmap_channel", 1, -EFAULT, 0 },
	{ "protect_channel", 1, -EFAULT, 0 },
	{ "free_channel", 1, 1, 0 },
	{ "cover_channel", 1, -ETIMEDOUT, 0 },
	{ "forge_callback", 1, -EPROTO, 0 },
	{ "forge_callback", 255, -EPROTO, 0 },
	{ "forge_callback", -1, -EPROTO, 0 },
	{ "callback_from_thread", 1, -EPROTO, 0 },
	{ "over_callback", 7, 1, 1 },
	{ "jump_out", 1, -EFAULT, 0 },
	{ "thread_exit", 1, 1, 0 },
	{ "write_shared", 1, 0, 1 },
	{ "beyond_arena", 1, 0, 1 },
	{ "touch_ring0", 1, -EFAULT, 0 },
	{ "steal_descriptors", 1, 0, 1 },
	{ "close_all", 0, 1, 1 },
	{ "write_high", 1, 1, 0 },
	{ "change_fs", 0, 1, 0 },
	{ "change_fs_far", 1, 0, 1 },
	{ "signal_parent", 1, 0, 1 },
	{ "odd_signals", 1, -EFAULT, 0 },
	{ "forge_runner", 1, 0, 1 },
	{ "wild_calls", 3000, 1, 0 },
};

static void attack(size_t n)
{
	const char *name = attacks[n].name;
	int failed = failures, err, v = 0, i;

	err = call_by_name(box, name, attacks[n].arg, &v);
	if (attacks[n].error == 1)
		CHECK(documented(err));
	else
		IS(err, attacks[n].error);
	/* those can say whatever they like, the result included */
	if (!err && v && attacks[n].calls != SCRIBBLES) {
		printf("%s(%d) got %d done\n", name, attacks[n].arg, v);
		failures++;
	}
	for (i = 0; i < attacks[n].calls; i++) {
		err = call_by_name(box, "beyond_arena", 1, &v);
		if (!documented(err) && err != -ENOENT && err != -EINVAL)
			break;
		if (err == -ESTALE)
			break;
	}
	if (i < attacks[n].calls && err != -ESTALE) {
		printf("%s: a call gives %d\n", name, err);
		failures++;
	}
	intact(name);
	if (failures != failed)
		printf("after %s(%d): %s\n%s", name, attacks[n].arg,
		       dune_errmsg(), report_of(box).text);
	CHECK(!strstr(report_of(box).text, "forged"));
	MUST(dune_sandbox_reset(box));
	MUST(call_by_name(box, "beyond_arena", 1, &v));
	IS(v, 0);
}

static void functions(const char *only)
{
	struct dune_buffer *ro;
	dune_addr a;
	size_t i;

	box = make(OPTIONS(.wall_ns = SECOND, .threads = 8));
	MUST(dune_sandbox_callbacks(box, &host, 1, NULL));
	load(box, "hostile");
	MUST(dune_buffer_create(engine, 4096, DUNE_SHARE_READ, &ro));
	MUST(dune_sandbox_share(box, ro, &a));
	IS(a.v, 0x210000000000);
	jump_over = function(dune_sandbox_object(box, 0), "jump_over");
	MUST(dune_sandbox_snapshot(box));
	for (i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++)
		if (!only || !strcmp(only, attacks[i].name))
			attack(i);
	IS(*(char *)dune_buffer_pointer(ro), 0);
	dune_sandbox_destroy(box);
}

/* ---- objects ---- */

static void constructor(const char *name, int error)
{
	struct dune_object *o;
	struct dune_buffer *ro;
	dune_addr a;
	int v = 1;

	MUST(dune_buffer_create(engine, 4096, DUNE_SHARE_READ, &ro));
	MUST(dune_sandbox_share(box, ro, &a));
	IS(try_load(box, name, &o), error);
	if (!error) {
		MUST(call_by_name(box, "result", 0, &v));
		if (v)
			printf("%s: result %d\n", name, v);
		IS(v, 0);
	} else {
		CHECK(!o);
		IS(dune_sandbox_object(box, 0) == NULL, 1);
	}
	dune_buffer_destroy(ro);
	MUST(dune_sandbox_reset(box));
}

/* The whole of a file; its size. */
static size_t slurp(const char *name, char *buf, size_t size)
{
	char path[512];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s.so", libs, name);
	f = fopen(path, "r");
	n = f ? fread(buf, 1, size, f) : 0;
	fclose(f);
	return n;
}

static void damaged(void)
{
	static char good[256 << 10], bad[256 << 10];
	char dir[] = "/tmp/dune-plugin-XXXXXX", path[64];
	size_t n = slurp("good", good, sizeof(good)), len, i;
	struct dune_object *o;
	unsigned int seed = 7;
	int fd, err;

	MUST(!mkdtemp(dir));
	snprintf(rules + strlen(rules), 64, "ro %s\n", dir);
	dune_sandbox_destroy(box);
	box = make(OPTIONS(.wall_ns = SECOND));
	MUST(dune_sandbox_snapshot(box));
	snprintf(path, sizeof(path), "%s/bad.so", dir);
	for (i = 0; i < 40; i++) {
		memcpy(bad, good, n);
		len = n;
		if (i < 12)
			len = i < 6 ? i * 30 : n / 12 * i;
		else	/* mostly in the headers */
			for (int k = 0; k < 4; k++) {
				seed = seed * 1103515245 + 12345;
				bad[seed / 65536 % (i % 2 ? 1024 : n)] =
					seed >> 24;
			}
		fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
		MUST(write(fd, bad, len) != (ssize_t)len);
		close(fd);
		err = dune_sandbox_load(box, path, 0, &o);
		if (!documented(err) && err != -ENOEXEC) {
			printf("damaged object %zu: %d\n", i, err);
			failures++;
		}
		intact("damaged");
		MUST(dune_sandbox_reset(box));
	}
	unlink(path);
	rmdir(dir);
}

int main(int argc, char **argv)
{
	struct dune_object *o;
	int v = 0;

	memset(canary, 0xa5, sizeof(canary));
	begin(argc, argv);
	functions(argc > 2 ? argv[2] : NULL);
	if (argc > 2)
		return end();
	box = make(OPTIONS(.wall_ns = SECOND));
	MUST(dune_sandbox_snapshot(box));
	constructor("ctor-crash", -EFAULT);
	constructor("ctor-spin", -ETIMEDOUT);
	constructor("ctor-exit", -ECHILD);
	constructor("ctor-exec", -EPERM);
	constructor("ctor-look", 0);
	constructor("ctor-reopen", 0);
	MUST(try_load(box, "interpose", &o));
	MUST(call_by_name(box, "nop", 4, &v));
	IS(v, 4);
	MUST(dune_sandbox_reset(box));
	damaged();
	dune_sandbox_destroy(box);
	return end();
}
