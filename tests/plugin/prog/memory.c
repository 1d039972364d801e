/* The transfer heap, copies, and memory that is shared without copying. */
#include <sys/mman.h>

#include "tests/plugin/plugin.h"

DUNE_PLUGIN_CALL(call_peek, int, dune_addr)
DUNE_PLUGIN_CALL(call_poke, int, dune_addr, int)

#define PAGE 4096ul

static struct dune_function peek, poke;

static void heap(struct dune_sandbox *box)
{
	dune_addr a[64], big, none = { 0 }, odd;
	char c;
	int i;

	for (i = 0; i < 64; i++) {
		MUST(dune_sandbox_alloc(box, i * 7, &a[i]));
		IS(a[i].v % 16, 0);
		CHECK(dune_sandbox_pointer(box, a[i], i * 7));
	}
	for (i = 0; i < 64; i += 2)
		MUST(dune_sandbox_free(box, a[i]));
	for (i = 1; i < 64; i += 2)
		MUST(dune_sandbox_free(box, a[i]));
	IS(dune_sandbox_free(box, a[5]), -EINVAL);
	IS(dune_sandbox_free(box, none), -EINVAL);
	IS(dune_sandbox_alloc(box, 2 << 20, &big), -ENOMEM);
	IS(dune_sandbox_alloc(box, ~0ul, &big), -ENOMEM);
	IS(dune_sandbox_alloc(box, ~0ul - 8, &big), -ENOMEM);
	/* all of it is in one piece again */
	MUST(dune_sandbox_alloc(box, 1 << 20, &big));
	IS(dune_sandbox_alloc(box, 1, &a[0]), -ENOMEM);
	CHECK(dune_sandbox_pointer(box, big, 1 << 20));
	CHECK(!dune_sandbox_pointer(box, big, (1 << 20) + 1));
	CHECK(!dune_sandbox_pointer(box, big, ~0ul));
	odd.v = big.v - 1;		/* the channel's own */
	CHECK(!dune_sandbox_pointer(box, odd, 1));
	odd.v = big.v + (1 << 20);
	CHECK(!dune_sandbox_pointer(box, odd, 1));
	odd.v = ~0ul;
	CHECK(!dune_sandbox_pointer(box, odd, 2));
	CHECK(!dune_sandbox_pointer(box, none, 1));
	IS(dune_sandbox_copy_out(box, &c, none, 1), -EFAULT);
	odd.v = 0x7ffff7000000;		/* the monitor's memory */
	IS(dune_sandbox_copy_out(box, &c, odd, 1), -EFAULT);
	odd.v = 0x500000000000;
	IS(dune_sandbox_copy_in(box, odd, &c, 1), -EFAULT);
	odd.v = ~0ul - 4;
	IS(dune_sandbox_copy_out(box, &c, odd, 16), -EFAULT);
	MUST(dune_sandbox_free(box, big));
}

static void copies(struct dune_sandbox *box)
{
	static const char secret[] = "a constant";
	dune_addr code = peek.addr, string = { 0 }, a;
	char buf[64];
	size_t big = 600000, i;
	char *from = malloc(big), *to = calloc(1, big);
	int v = 0;

	/* code may be read, not written */
	MUST(dune_sandbox_copy_out(box, buf, code, 16));
	IS(dune_sandbox_copy_in(box, code, buf, 1), -EFAULT);
	MUST(call_peek(&peek, &v, code));
	CHECK(!memcmp(&v, buf, 4));
	MUST(dune_object_symbol(dune_sandbox_object(box, 0), "global",
				&string));
	MUST(dune_sandbox_copy_out(box, &v, string, sizeof(v)));
	IS(v, 100);
	v = 4321;
	MUST(dune_sandbox_copy_in(box, string, &v, sizeof(v)));
	MUST(call_by_name(box, "get_global", 0, &v));
	IS(v, 4321);
	MUST(dune_sandbox_alloc(box, big, &a));
	for (i = 0; i < big; i++)
		from[i] = i * 7;
	MUST(dune_sandbox_copy_in(box, a, from, big));
	MUST(dune_sandbox_copy_out(box, to, a, big));
	CHECK(!memcmp(from, to, big));
	MUST(dune_sandbox_copy_in(box, a, secret, sizeof(secret)));
	IS(dune_sandbox_copy_string(box, buf, a, sizeof(secret)),
	   sizeof(secret) - 1);
	IS(dune_sandbox_copy_string(box, buf, a, 5), -ENAMETOOLONG);
	CHECK(!strcmp(buf, "a co"));
	MUST(dune_sandbox_copy_out(box, buf, a, 0));
	MUST(dune_sandbox_free(box, a));
	free(from);
	free(to);
}

static void shared(struct dune_sandbox *box)
{
	struct dune_sandbox *other = make(OPTIONS(0));
	struct dune_buffer *rw, *ro;
	struct dune_function f;
	dune_addr a, b, c;
	int v = 0, *p;

	load(other, "good");
	MUST(dune_buffer_create(engine, 3 * PAGE - 5, DUNE_SHARE_WRITE, &rw));
	IS(dune_buffer_size(rw), 3 * PAGE);
	IS(dune_buffer_create(engine, 0, DUNE_SHARE_WRITE, &ro), -EINVAL);
	IS(dune_buffer_create(engine, 1, (enum dune_share)9, &ro), -EINVAL);
	MUST(dune_buffer_create(engine, PAGE, DUNE_SHARE_READ, &ro));
	p = dune_buffer_pointer(rw);
	p[1] = 77;
	MUST(dune_sandbox_share(box, rw, &a));
	IS(dune_sandbox_share(box, rw, &b), -EEXIST);
	MUST(dune_sandbox_share(other, rw, &b));
	MUST(call_peek(&peek, &v, (dune_addr){ a.v + 4 }));
	IS(v, 77);
	f = function(dune_sandbox_object(other, 0), "poke");
	MUST(call_poke(&f, &v, (dune_addr){ b.v + 8 }, 88));
	IS(p[2], 88);
	MUST(call_peek(&peek, &v, (dune_addr){ a.v + 8 }));
	IS(v, 88);
	MUST(dune_sandbox_unshare(box, rw));
	IS(dune_sandbox_unshare(box, rw), -ENOENT);
	IS(call_peek(&peek, &v, (dune_addr){ a.v + 4 }), -EFAULT);
	MUST(dune_sandbox_reset(box));
	load(box, "good");
	peek = function(dune_sandbox_object(box, 0), "peek");
	poke = function(dune_sandbox_object(box, 0), "poke");

	p = dune_buffer_pointer(ro);
	MUST(dune_sandbox_share(box, ro, &c));
	*p = 5;
	MUST(call_peek(&peek, &v, c));
	IS(v, 5);
	*p = 6;
	MUST(call_peek(&peek, &v, c));
	IS(v, 6);
	IS(call_poke(&poke, &v, c, 7), -EFAULT);
	IS(report_of(box).address.v, c.v);
	IS(*p, 6);
	/* gone before the sandboxes that have them */
	dune_buffer_destroy(ro);
	dune_buffer_destroy(rw);
	dune_sandbox_destroy(other);
	MUST(dune_sandbox_reset(box));
	load(box, "good");
	peek = function(dune_sandbox_object(box, 0), "peek");
	poke = function(dune_sandbox_object(box, 0), "poke");
}

static void adopted(struct dune_sandbox *box)
{
	int *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct dune_buffer *b;
	dune_addr a;
	int v = 0;

	p[0] = 1;
	p[1024] = 2;
	IS(dune_buffer_adopt(engine, (char *)p + 1, PAGE, DUNE_SHARE_WRITE,
			     &b), -EINVAL);
	IS(dune_buffer_adopt(engine, p, 100, DUNE_SHARE_WRITE, &b), -EINVAL);
	MUST(dune_buffer_adopt(engine, p, 2 * PAGE, DUNE_SHARE_WRITE, &b));
	CHECK(dune_buffer_pointer(b) == p);
	IS(p[0], 1);
	MUST(dune_sandbox_share(box, b, &a));
	MUST(call_peek(&peek, &v, (dune_addr){ a.v + PAGE }));
	IS(v, 2);
	MUST(call_poke(&poke, &v, a, 3));
	IS(p[0], 3);
	/* cut off: what the plugin does no longer reaches us */
	dune_buffer_destroy(b);
	IS(p[0], 3);
	MUST(call_poke(&poke, &v, a, 4));
	IS(p[0], 3);
	p[0] = 9;
	MUST(call_peek(&peek, &v, a));
	IS(v, 4);
	munmap(p, 4 * PAGE);
}

int main(int argc, char **argv)
{
	struct dune_sandbox *box;

	begin(argc, argv);
	box = make(OPTIONS(.heap = 1 << 20));
	load(box, "good");
	peek = function(dune_sandbox_object(box, 0), "peek");
	poke = function(dune_sandbox_object(box, 0), "poke");
	heap(box);
	copies(box);
	shared(box);
	adopted(box);
	return end();
}
