/*
 * Decoding in other processes: as usual where a VM is not used. They answer for
 * as long as this one lives. What they say is copied before it is used.
 */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bwrap.h"
#include "decode.h"

struct question {
	uint32_t format, size;		/* and the file */
};

struct answer {
	int32_t err;
	uint32_t width, height;		/* and the pixels */
};

static struct shared {
	volatile uint32_t asked, answered;
	struct question question;
	struct answer answer;
	uint8_t file[FILE_BYTES], pixels[PIXEL_BYTES];
} *shared;

static struct peer {
	pid_t pid;
	int to, from;
} by_futex, by_pipe, by_wrapped;

/* ---- of use on both sides ---- */

static void futex(volatile uint32_t *word, int op, uint32_t v)
{
	syscall(SYS_futex, word, op, v, NULL, NULL, 0);
}

static size_t bytes(const struct answer *a)
{
	uint64_t n = (uint64_t)a->width * a->height * 4;

	return n <= PIXEL_BYTES ? n : 0;
}

/* All of it, or not 0. */
static int get(int fd, void *to, size_t len)
{
	ssize_t n;

	for (; len; len -= n, to = (char *)to + n) {
		n = read(fd, to, len);
		if (n <= 0)
			return -1;
	}
	return 0;
}

static int put(int fd, const void *from, size_t len)
{
	ssize_t n;

	for (; len; len -= n, from = (const char *)from + n) {
		n = write(fd, from, len);
		if (n <= 0)
			return -1;
	}
	return 0;
}

/* ---- the other side ---- */

/* The pixels are for free(); NULL when it fails. */
static uint8_t *decode(const struct question *q, const uint8_t *file,
		       struct answer *a)
{
	struct image im = { .data = file, .size = q->size,
			    .format = q->format };

	a->err = decode_native(&im);
	a->width = im.pixels.width;
	a->height = im.pixels.height;
	if (!a->err && bytes(a))
		return im.pixels.rgba;
	free(im.pixels.rgba);
	a->err = a->err ? a->err : -EFBIG;
	return NULL;
}

static void answer_shared(void)
{
	uint8_t *pixels = decode(&shared->question, shared->file,
				 &shared->answer);

	if (pixels)
		memcpy(shared->pixels, pixels, bytes(&shared->answer));
	free(pixels);
}

static void answer_futex(void)
{
	for (uint32_t n = 0; ; n++) {
		while (shared->asked == n)
			futex(&shared->asked, FUTEX_WAIT, n);
		answer_shared();
		shared->answered = n + 1;
		futex(&shared->answered, FUTEX_WAKE, 1);
	}
}

void processes_answer(void)
{
	uint8_t *file = malloc(FILE_BYTES), *pixels;
	struct question q;
	struct answer a;

	while (file && !get(0, &q, sizeof(q)) && q.size <= FILE_BYTES &&
	       !get(0, file, q.size)) {
		pixels = decode(&q, file, &a);
		if (put(1, &a, sizeof(a)) ||
		    (pixels && put(1, pixels, bytes(&a))))
			break;
		free(pixels);
	}
	_exit(0);
}

static void answer_pipe(int in, int out)
{
	if (!dup2(in, 0) && dup2(out, 1) == 1)
		processes_answer();
}

/* ---- this side ---- */

/* A process whose descriptors 0 and 1 are our pipes, if it is one for pipes. */
static int start(struct peer *p, void (*piped)(int in, int out))
{
	int to[2], from[2];

	if (piped && (pipe(to) || pipe(from)))
		return -errno;
	p->pid = fork();
	if (p->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (piped) {
			close(to[1]);
			close(from[0]);
			piped(to[0], from[1]);
		} else {
			answer_futex();
		}
		_exit(1);
	}
	if (p->pid < 0)
		return -errno;
	if (piped) {
		p->to = to[1];
		p->from = from[0];
		close(to[0]);
		close(from[1]);
	}
	return 0;
}

int processes_start(void)
{
	int err;

	signal(SIGPIPE, SIG_IGN);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return -errno;
	err = start(&by_futex, NULL);
	if (!err)
		err = start(&by_pipe, answer_pipe);
	if (!err)
		err = start(&by_wrapped, bench_bwrap);
	return err;
}

void processes_end(void)
{
	const struct peer *p[] = { &by_futex, &by_pipe, &by_wrapped };

	for (int i = 0; i < 3; i++)
		if (p[i]->pid > 0)
			kill(p[i]->pid, SIGKILL);
}

/* Room for what the other says that it has. */
static int take(struct image *im, const struct answer *a)
{
	if (a->err || !bytes(a))
		return a->err ? a->err : -EBADMSG;
	im->pixels.width = a->width;
	im->pixels.height = a->height;
	im->pixels.rgba = malloc(bytes(a));
	return im->pixels.rgba ? 0 : -ENOMEM;
}

static void ask_shared(const struct image *im)
{
	shared->question = (struct question) { im->format, im->size };
	memcpy(shared->file, im->data, im->size);
}

static int take_shared(struct image *im)
{
	struct answer a = shared->answer;
	int err = take(im, &a);

	if (!err)
		memcpy(im->pixels.rgba, shared->pixels, bytes(&a));
	return err;
}

int decode_futex(struct image *im)
{
	uint32_t n = shared->asked + 1;

	ask_shared(im);
	shared->asked = n;
	futex(&shared->asked, FUTEX_WAKE, 1);
	while (shared->answered != n)
		futex(&shared->answered, FUTEX_WAIT, n - 1);
	return take_shared(im);
}

int decode_fork(struct image *im)
{
	pid_t pid;

	ask_shared(im);
	pid = fork();
	if (pid == 0) {
		answer_shared();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		return -errno;
	return take_shared(im);
}

static int through(const struct peer *p, struct image *im)
{
	const struct question q = { im->format, im->size };
	struct answer a;
	int err;

	if (put(p->to, &q, sizeof(q)) || put(p->to, im->data, im->size) ||
	    get(p->from, &a, sizeof(a)))
		return -EPIPE;
	err = take(im, &a);
	if (!err && get(p->from, im->pixels.rgba, bytes(&a)))
		err = -EPIPE;
	return err;
}

int decode_pipe(struct image *im)
{
	return through(&by_pipe, im);
}

int decode_wrapped(struct image *im)
{
	return through(&by_wrapped, im);
}
