/*
 * Snapshots in files: this program saves one and runs itself again, which
 * restores it. What is in it is as it was; what is not one, or not one of this
 * machine's, is refused with its reason. With a second argument: less of it.
 */
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>
#include "tests/plugin/plugin.h"
#include "kern/mm/region.h"
#include "libdune/sandbox/image.h"

DUNE_PLUGIN_CALL(call_addr, int, dune_addr)

/* What the second process has to know, besides the file. */
struct note {
	dune_addr where, text, freed;
	long random;
};

#define FREED 100
static char path[64];
static bool few;

static int ask(struct dune_sandbox *box, void *ctx, int *result, int x)
{
	(void)box;
	*result = x + *(int *)ctx;
	return 0;
}
DUNE_HOST_CALLBACK(ask_callback, "ask", ask, int, int);

static int ask_double(struct dune_sandbox *box, void *ctx, double *result,
		      int x)
{
	(void)box, (void)ctx, (void)result, (void)x;
	return -EIO;
}
DUNE_HOST_CALLBACK(other_types, "ask", ask_double, double, int);

static int save_to(struct dune_sandbox *box, const char *to)
{
	int fd = open(to, O_RDWR | O_CREAT | O_TRUNC, 0600), r;

	r = dune_sandbox_save(box, fd);
	close(fd);
	return r;
}

static int restore_with(struct dune_sandbox_options o, const char *from,
			struct dune_sandbox **box)
{
	int fd = open(from, O_RDONLY), r;

	r = dune_sandbox_restore(engine, fd, &o, box);
	close(fd);
	return r;
}

static int restore_from(const char *from, struct dune_sandbox **box)
{
	return restore_with(OPTIONS(.callers = 2), from, box);
}

/* ---- the first process ---- */

static void set_up(struct dune_sandbox *box, struct note *note)
{
	struct dune_object *state;
	int base = 1, v;

	MUST(dune_sandbox_callbacks(box, &ask_callback, 1, &base));
	state = load(box, "state");
	load(box, "good");
	MUST(call_by_name(box, "set_up", 7, &v));
	IS(by_name(box, "check", 7), 0);
	MUST(dune_object_symbol(state, "check", &note->where));
	MUST(dune_sandbox_alloc(box, 5000, &note->text));
	strcpy(dune_sandbox_pointer(box, note->text, 5000), "in the heap");
	MUST(dune_sandbox_alloc(box, FREED, &note->freed));
	MUST(dune_sandbox_free(box, note->freed));
	note->random = by_name(box, "random_of", 0);
}

static struct dune_sandbox *first(struct note *note)
{
	struct dune_sandbox *box = make(OPTIONS(.callers = 2));

	set_up(box, note);
	IS(save_to(box, path), -EINVAL);	/* no snapshot */
	MUST(dune_sandbox_snapshot(box));
	MUST(save_to(box, path));
	/* it goes on as if nothing had been */
	IS(by_name(box, "check", 7), 0);
	MUST(dune_sandbox_reset(box));
	IS(by_name(box, "check", 7), 0);
	return box;
}

/* ---- the second one ---- */

static void use(struct dune_sandbox *box, const struct note *note)
{
	struct dune_function f = { box, note->where };
	int base = 1000, v = 0;
	long result = -1;
	dune_addr a;

	MUST(call_long(&f, &result, 7));
	IS(result, 0);
	CHECK(!strcmp(dune_sandbox_pointer(box, note->text, 5000),
		      "in the heap"));
	IS(dune_sandbox_free(box, note->freed), -EINVAL);
	MUST(dune_sandbox_alloc(box, FREED, &a));
	IS(a.v, note->freed.v);
	MUST(dune_sandbox_free(box, note->text));
	/* getrandom(2) is not what it was */
	CHECK(by_name(box, "random_of", 1) != note->random);
	IS(by_name(box, "random_of", 0), note->random);
	/* its callbacks are the new host's to give */
	IS(call_by_name(box, "asks", 1, &v), -ENOSYS);
	IS(dune_sandbox_callbacks(box, &other_types, 1, &base), -EINVAL);
	MUST(dune_sandbox_callbacks(box, &ask_callback, 1, &base));
	IS(dune_sandbox_callbacks(box, &ask_callback, 1, &base), -EEXIST);
	MUST(call_by_name(box, "asks", 1, &v));
	IS(v, 1001);
}

/* Both in the line of the innermost frame. */
static void reported(struct dune_sandbox *box, const char *file,
		     const char *name)
{
	struct dune_report r = { .size = sizeof(r) };
	const char *line, *end;

	MUST(dune_sandbox_report(box, &r));
	line = strstr(r.text, "  #0 ");
	end = line ? strchr(line, '\n') : NULL;
	line = line ? strstr(line, file) : NULL;
	CHECK(line && line < end);
	line = line && name ? strstr(line, name) : line;
	CHECK(line && line < end);
	if (!line || line > end)
		puts(r.text);
}

static void again(struct dune_sandbox *box)
{
	struct dune_sandbox *clone;
	struct dune_object *o;
	int a = 5, b = 6, v;

	MUST(call_by_name(box, "set_up", 8, &v));
	IS(by_name(box, "check", 8), 0);
	MUST(dune_sandbox_reset(box));
	IS(by_name(box, "check", 7), 0);
	MUST(dune_sandbox_clone(box, &clone));
	IS(by_name(clone, "check", 7), 0);
	MUST(dune_sandbox_context(box, "ask", &a));
	MUST(dune_sandbox_context(clone, NULL, &b));
	IS(dune_sandbox_context(clone, "tell", &b), -ENOENT);
	MUST(call_by_name(box, "asks", 1, &v));
	IS(v, 6);
	MUST(call_by_name(clone, "asks", 1, &v));
	IS(v, 7);
	/* objects can be loaded, faults found, files made of it */
	MUST(try_load(clone, "leaky", &o));
	CHECK(dune_sandbox_object(clone, 2) == o);
	IS(call_by_name(clone, "faults", 1, &v), -EFAULT);
	reported(clone, "state.so+0x", "(faults+0x");
	IS(dune_sandbox_reset(clone), 0);
	IS(by_name(clone, "check", 7), 0);
	MUST(save_to(clone, path));
	dune_sandbox_destroy(box);
	dune_sandbox_destroy(clone);
	MUST(restore_from(path, &box));
	IS(by_name(box, "check", 7), 0);
	dune_sandbox_destroy(box);
}

static int second(const char *hex)
{
	struct dune_sandbox *box;
	struct note note;
	size_t i;

	for (i = 0; i < sizeof(note); i++)
		sscanf(hex + 2 * i, "%2hhx", (unsigned char *)&note + i);
	MUST(restore_from(path, &box));
	use(box, &note);
	if (!few)
		again(box);
	return end();
}

static int run_second(char **argv, const struct note *note)
{
	char hex[2 * sizeof(*note) + 1];
	size_t i;
	int status = -1;
	pid_t pid;

	for (i = 0; i < sizeof(*note); i++)
		sprintf(hex + 2 * i, "%02x", ((unsigned char *)note)[i]);
	pid = fork();
	if (!pid) {
		execl("/proc/self/exe", argv[0], argv[1], few ? "few" : "all",
		      path, hex, NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return status;
}

/* ---- what is refused ---- */

static char *file;
static size_t size;

static void read_file(void)
{
	struct stat st;
	int fd = open(path, O_RDONLY);

	fstat(fd, &st);
	size = st.st_size;
	file = malloc(size);
	if (read(fd, file, size) != (ssize_t)size)
		exit(1);
	close(fd);
}

/* The file as it is in memory, its first n bytes. */
static void write_file(size_t n)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	if (write(fd, file, n) != (ssize_t)n)
		exit(1);
	close(fd);
}

static int try_file(size_t n)
{
	struct dune_sandbox *box;
	int r;

	write_file(n);
	r = restore_from(path, &box);
	CHECK(!r == !!box);
	dune_sandbox_destroy(box);
	return r;
}

/* image.c has the same, but the library keeps it to itself. */
static uint64_t sum_of(uint64_t sum, const void *p, size_t n)
{
	const uint64_t *word = p;

	for (n /= sizeof(*word); n; n--) {
		sum = (sum ^ *word++) * 0x100000001b3ul;
		sum ^= sum >> 32;
	}
	return sum;
}

/* As somebody would who wants it to be taken. */
static void sum_up(void)
{
	struct dune_image_head *h = (void *)file;
	uint64_t sum = sum_of(0, h + 1, size - sizeof(*h));

	h->sum = 0;
	h->sum = sum_of(sum, h, sizeof(*h));
}

static int try_word(size_t at, uint64_t value)
{
	uint64_t old;
	int r;

	memcpy(&old, file + at, sizeof(old));
	memcpy(file + at, &value, sizeof(value));
	sum_up();
	r = try_file(size);
	memcpy(file + at, &old, sizeof(old));
	sum_up();
	return r;
}

static uint64_t word_at(size_t at)
{
	uint64_t v;

	memcpy(&v, file + at, sizeof(v));
	return v;
}

#define HEAD(f) offsetof(struct dune_image_head, f)
#define PROCESS(f) (process + offsetof(struct dune_image_process, f))

/* Any byte, and the end anywhere: the sum. */
static void damages(void)
{
	size_t i, step = size / (few ? 3 : 40) | 1;

	for (i = 0; i < size; i += i < sizeof(struct dune_image_head) ? 5 :
			       step) {
		file[i] ^= 1 << i % 8;
		IS(try_file(size), -EINVAL);
		file[i] ^= 1 << i % 8;
	}
	for (i = 0; i < size; i += step)
		IS(try_file(i), -EINVAL);
}

/*
 * A page for the region of the vvar pages, which no process has as memory of
 * its own: where the run would go; 0: there is no such region.
 */
static size_t vvar_runs(void)
{
	uint64_t process = word_at(HEAD(process));
	size_t at = process + sizeof(struct dune_image_process) +
		    word_at(PROCESS(names));
	struct dune_image_region r;
	struct dune_image_run run;

	for (;;) {
		memcpy(&r, file + at, sizeof(r));
		at += sizeof(r);
		if (!r.end || (r.flags & DUNE_R_VDSO && !r.prot))
			return r.end ? at : 0;
		do {
			memcpy(&run, file + at, sizeof(run));
			at += sizeof(run) + run.len;
		} while (run.len);
	}
}

static void page_of_vvar(void)
{
	size_t at = vvar_runs(), more = sizeof(struct dune_image_run) + 4096;
	char *old = file, *new = malloc(size + more);
	struct dune_image_region r;
	struct dune_image_run run;

	if (!at) {
		free(new);
		return;
	}
	memcpy(&r, file + at - sizeof(r), sizeof(r));
	run = (struct dune_image_run){ r.start, 4096 };
	memcpy(new, file, at);
	memcpy(new + at, &run, sizeof(run));
	memset(new + at + sizeof(run), 0x5a, 4096);
	memcpy(new + at + more, file + at, size - at);
	file = new;
	size += more;
	*(uint64_t *)(file + HEAD(size)) = size;
	sum_up();
	IS(try_file(size), -ENOTSUP);
	size -= more;
	file = old;
	free(new);
}

/* The reports of a saved sandbox in which a file has another name. */
static void other_names(size_t from, size_t to)
{
	static const struct {
		const char *name, *told;
	} v[] = {
		{ "/st\033te.so", "/st?te.so+0x" },	/* nothing is there */
		{ "//good.so", "//good.so+0x" },	/* or another code */
	};
	struct dune_report r = { .size = sizeof(r) };
	struct dune_sandbox *box;
	size_t i, at;
	int x;

	for (i = 0; i < 2; i++) {
		for (at = from; at + strlen(v[i].name) < to; at++) {
			if (!memcmp(file + at, i ? v[i - 1].name : "/state.so",
				    strlen(v[i].name)))
				memcpy(file + at, v[i].name,
				       strlen(v[i].name));
		}
		sum_up();
		write_file(size);
		MUST(restore_from(path, &box));
		IS(call_by_name(box, "faults", 1, &x), -EFAULT);
		reported(box, v[i].told, NULL);
		MUST(dune_sandbox_report(box, &r));
		CHECK(!strstr(r.text, "(faults+") && !strchr(r.text, '\033'));
		dune_sandbox_destroy(box);
	}
}

/* What has a right sum: by host or monitor. */
static void forgeries(void)
{
	uint64_t process = word_at(HEAD(process));
	size_t names = process + sizeof(struct dune_image_process);
	size_t region = names + word_at(PROCESS(names));
	struct dune_sandbox *box;

	IS(try_file(size), 0);
	/* the options' limits are not the file's to set */
	IS(restore_with(OPTIONS(.heap = 4096), path, &box), -ENOMEM);
	CHECK(strstr(dune_errmsg(), "option heap"));
	IS(restore_with(OPTIONS(.memory = 16 << 20), path, &box), -ENOMEM);
	CHECK(strstr(dune_errmsg(), "option memory"));
	IS(try_word(HEAD(version), 99 | sizeof(struct dune_image_head) << 32),
	   -EINVAL);
	CHECK(strstr(dune_errmsg(), "format 99"));
	IS(try_word(HEAD(build), 1), -EINVAL);
	CHECK(strstr(dune_errmsg(), "another build"));
	IS(try_word(HEAD(host), ~7ul), -EINVAL);
	IS(try_word(HEAD(process), size + 8), -EINVAL);
	IS(try_word(HEAD(process), size), -EINVAL);
	IS(try_word(PROCESS(feature), word_at(PROCESS(feature)) | 1ul << 10),
	   -ENOTSUP);
	CHECK(strstr(dune_errmsg(), "CPU"));
	IS(try_word(PROCESS(reg[16]), 0xffff800000000000), -EINVAL);
	IS(try_word(PROCESS(fs_base), 0xffff800000000000), -EINVAL);
	IS(try_word(PROCESS(fx[24]), ~0ul), -EINVAL);
	IS(try_word(PROCESS(brk), ~0ul), -EINVAL);
	IS(try_word(region, 0), -EINVAL);
	IS(try_word(region + 8, GUEST_HI + 4096), -EINVAL);
	IS(try_word(region + 8, GUEST_HI), -ENOMEM);
	CHECK(strstr(dune_errmsg(), "option memory"));
	IS(try_word(region + 16, 0xffffffff00000007), -EINVAL);
	page_of_vvar();
	IS(try_word(PROCESS(names), DUNE_IMAGE_NAMES + 8), -EINVAL);
	IS(try_word(PROCESS(names), word_at(PROCESS(names)) - 4), -EINVAL);
	other_names(names, region);
	/* what the guest can do to itself, it can do to itself */
	IS(try_word(PROCESS(reg[16]), GUEST_LO), -EFAULT);
}

static void open_file(void)
{
	struct dune_sandbox *box = make(OPTIONS(.flags = DUNE_SANDBOX_FILES));
	int v;

	MUST(dune_sandbox_callbacks(box, &ask_callback, 1, NULL));
	load(box, "state");
	/* it may write down itself, where it may write */
	MUST(call_by_name(box, "saves", 1, &v));
	IS(v, 0);
	MUST(call_by_name(box, "saves", 260, &v));
	IS(v, -EBADF);
	MUST(call_by_name(box, "saves", -1, &v));
	IS(v, -EBADF);
	MUST(call_by_name(box, "opens", 0, &v));
	MUST(dune_sandbox_snapshot(box));
	IS(save_to(box, path), -EBUSY);
	dune_sandbox_destroy(box);
}

static void what_holds_it(struct dune_sandbox *box)
{
	struct dune_buffer *buf;
	dune_addr at;
	int fd[2];

	MUST(dune_buffer_create(engine, 4096, DUNE_SHARE_READ, &buf));
	MUST(dune_sandbox_share(box, buf, &at));
	MUST(dune_sandbox_snapshot(box));
	IS(save_to(box, path), -EBUSY);
	IS(by_name(box, "check", 7), 0);
	MUST(dune_sandbox_unshare(box, buf));
	MUST(dune_sandbox_snapshot(box));
	MUST(save_to(box, path));
	if (pipe(fd))
		exit(1);
	IS(dune_sandbox_save(box, fd[1]), -EINVAL);
	dune_buffer_destroy(buf);
}

int main(int argc, char **argv)
{
	struct dune_sandbox *box;
	struct note note;

	begin(argc, argv);
	few = argc > 2 && !strcmp(argv[2], "few");
	if (argc > 4) {
		snprintf(path, sizeof(path), "%s", argv[3]);
		return second(argv[4]);
	}
	snprintf(path, sizeof(path), "/tmp/dune-saved.%d", getpid());
	box = first(&note);
	IS(run_second(argv, &note), 0);
	MUST(save_to(box, path));
	read_file();
	damages();
	if (!few) {
		forgeries();
		what_holds_it(box);
		open_file();
	}
	unlink(path);
	return end();
}
