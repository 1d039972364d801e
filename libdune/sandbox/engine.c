/* The engine: its keeper thread, its memfds, work done on that thread. */
#include "libdune/sandbox/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>
#include "kern/err.h"
#include "kern/vm/vm.h"

int dune_memfd(const char *name, size_t size, unsigned int seals)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), err;

	if (fd < 0)
		return dune_err(-errno, "memfd_create: %s; raise ulimit -n "
				"if it is low", strerror(errno));
	if (ftruncate(fd, size) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | seals) == 0)
		return fd;
	err = -errno;
	close(fd);
	return dune_err(err, "shared memory of %zu bytes: %s", size,
			strerror(-err));
}

/* A program as a file that nobody can change. */
static int program(const char *name, const char *start, const char *end)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ssize_t n;

	if (fd < 0)
		return dune_err(-errno, "memfd_create: %s; raise ulimit -n "
				"if it is low", strerror(errno));
	while (start < end) {
		n = write(fd, start, end - start);
		if (n < 0 && errno != EINTR)
			break;
		start += n > 0 ? n : 0;
	}
	if (start == end &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW |
		  F_SEAL_WRITE | F_SEAL_SEAL) == 0)
		return fd;
	close(fd);
	return dune_err(-ENOMEM, "%s: no room for it in shared memory", name);
}

/* ---- the keeper ---- */

int dune_engine_watch(struct dune_engine *e, struct dune_watch *w)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = w };

	if (epoll_ctl(e->epoll, EPOLL_CTL_ADD, w->fd, &ev))
		return dune_err(-errno, "engine: epoll: %s", strerror(errno));
	return 0;
}

void dune_engine_unwatch(struct dune_engine *e, struct dune_watch *w)
{
	epoll_ctl(e->epoll, EPOLL_CTL_DEL, w->fd, NULL);
}

static void woken(struct dune_engine *e, struct dune_watch *w)
{
	uint64_t n;

	(void)e;
	if (read(w->fd, &n, sizeof(n)) < 0)
		return;
}

static void finish_job(struct dune_engine *e, struct dune_job *j, int err)
{
	if (j->forgotten) {
		free(j);
		return;
	}
	pthread_mutex_lock(&e->lock);
	j->err = err;
	snprintf(j->why, sizeof(j->why), "%s", err ? dune_errmsg() : "");
	j->done = true;
	pthread_cond_broadcast(&e->done);
	pthread_mutex_unlock(&e->lock);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ul + t.tv_nsec;
}

/*
 * The oldest that is due; NULL: none, and *timeout is when to look again, for
 * epoll_wait(2).
 */
static struct dune_job *next_job(struct dune_engine *e, int *timeout)
{
	struct dune_job **j, **due = NULL, *found = NULL;
	uint64_t t = now(), ms;

	*timeout = -1;
	pthread_mutex_lock(&e->lock);
	for (j = &e->jobs; *j; j = &(*j)->next) {
		if ((*j)->not_before <= t || e->stop) {
			due = j;
			continue;
		}
		ms = ((*j)->not_before - t) / 1000000 + 1;
		if (*timeout < 0 || ms < (uint64_t)*timeout)
			*timeout = ms;
	}
	if (due) {
		found = *due;
		*due = found->next;
	}
	pthread_mutex_unlock(&e->lock);
	return found;
}

/*
 * One event at a time: a box that has ended may be the last of its family,
 * which the next event would be about. Then all jobs, which free as well.
 */
static void keep(struct dune_engine *e)
{
	struct epoll_event ev;
	struct dune_watch *w;
	struct dune_job *j;
	int timeout = -1;

	while (!e->stop || e->boxes) {
		if (epoll_wait(e->epoll, &ev, 1, timeout) == 1) {
			w = ev.data.ptr;
			w->ready(e, w);
		}
		while ((j = next_job(e, &timeout)))
			finish_job(e, j, j->run(e, j->arg));
	}
}

static int start_nanny(struct dune_engine *e, void *arg)
{
	(void)arg;
	return dune_nanny_create(&e->nanny);
}

static int stop_keeper(struct dune_engine *e, void *arg)
{
	(void)arg;
	e->stop = true;
	return 0;
}

static void *keeper_main(void *arg)
{
	struct dune_engine *e = arg;

	prctl(PR_SET_NAME, "dune-keeper");
	keep(e);
	if (e->nanny)
		dune_nanny_destroy(e->nanny);
	return NULL;
}

/* Under the lock. */
static void queue(struct dune_engine *e, struct dune_job *j)
{
	const uint64_t one = 1;

	j->next = e->jobs;
	e->jobs = j;
	/* when it is full the keeper is awake */
	while (write(e->wake.fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

void dune_engine_post(struct dune_engine *e,
		      int (*fn)(struct dune_engine *e, void *arg), void *arg,
		      uint64_t wait)
{
	struct dune_job *j = calloc(1, sizeof(*j));

	if (!j) {
		dune_engine_do(e, fn, arg);
		return;
	}
	j->run = fn;
	j->arg = arg;
	j->forgotten = true;
	j->not_before = wait ? now() + wait : 0;
	pthread_mutex_lock(&e->lock);
	queue(e, j);
	pthread_mutex_unlock(&e->lock);
}

int dune_engine_do(struct dune_engine *e,
		   int (*fn)(struct dune_engine *e, void *arg), void *arg)
{
	struct dune_job j = { .run = fn, .arg = arg };

	if (pthread_equal(pthread_self(), e->keeper))
		return fn(e, arg);
	pthread_mutex_lock(&e->lock);
	queue(e, &j);
	while (!j.done)
		pthread_cond_wait(&e->done, &e->lock);
	pthread_mutex_unlock(&e->lock);
	return j.err ? dune_err(j.err, "%s", j.why) : 0;
}

static int start_keeper(struct dune_engine *e)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&e->keeper, NULL, keeper_main, e);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err ? dune_err(-err, "engine: cannot make a thread: %s",
			      strerror(err)) : 0;
}

/* ---- the calls ---- */

/* Told here, and not by each sandbox's monitor. */
static int check_kvm(void)
{
	int fd = dune_kvm_open();

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static void close_all(struct dune_engine *e)
{
	const int fd[] = { e->epoll, e->wake.fd, e->monitor, e->runner };
	size_t i;

	for (i = 0; i < sizeof(fd) / sizeof(fd[0]); i++)
		if (fd[i] >= 0)
			close(fd[i]);
	pthread_mutex_destroy(&e->lock);
	pthread_cond_destroy(&e->done);
	free(e);
}

static int open_all(struct dune_engine *e)
{
	cpu_set_t set;

	e->one_cpu = sched_getaffinity(0, sizeof(set), &set) == 0 &&
		     CPU_COUNT(&set) < 2;
	e->epoll = epoll_create1(EPOLL_CLOEXEC);
	e->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	e->wake.ready = woken;
	if (e->epoll < 0 || e->wake.fd < 0)
		return dune_err(-errno, "engine: %s; raise ulimit -n if it is "
				"low", strerror(errno));
	e->monitor = program("dune-monitor", dune_monitor_start,
			     dune_monitor_end);
	if (e->monitor < 0)
		return e->monitor;
	e->runner = program("dune-runner", dune_runner_start,
			    dune_runner_end);
	if (e->runner < 0)
		return e->runner;
	return dune_engine_watch(e, &e->wake);
}

int dune_engine_create(struct dune_engine **out)
{
	struct dune_engine *e;
	int r = check_kvm();

	*out = NULL;
	if (r)
		return r;
	e = calloc(1, sizeof(*e));
	if (!e)
		return dune_err(-ENOMEM, "engine: out of memory");
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->done, NULL);
	e->epoll = e->wake.fd = e->monitor = e->runner = -1;
	r = open_all(e);
	if (!r)
		r = start_keeper(e);
	if (r) {
		close_all(e);
		return r;
	}
	r = dune_engine_do(e, start_nanny, NULL);
	if (r) {
		dune_engine_destroy(e);
		return r;
	}
	*out = e;
	return 0;
}

void dune_engine_destroy(struct dune_engine *e)
{
	if (!e)
		return;
	while (e->sandboxes)
		dune_sandbox_destroy(e->sandboxes);
	dune_shells_free(e);
	while (e->buffers)
		dune_buffer_destroy(e->buffers);
	dune_engine_do(e, stop_keeper, NULL);
	pthread_join(e->keeper, NULL);
	close_all(e);
}
