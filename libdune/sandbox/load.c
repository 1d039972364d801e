/* Shared objects, their symbols, and the host's functions that they import. */
#include "libdune/sandbox/internal.h"

#include <errno.h>
#include <limits.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "kern/err.h"

/* ---- objects ---- */

int dune_object_add(struct dune_sandbox *s, uint64_t handle,
		    struct dune_object **out)
{
	struct dune_object *o = calloc(1, sizeof(*o)), **p;

	if (!o)
		return dune_err(-ENOMEM, "object: out of memory");
	o->box = s;
	o->handle = handle;
	pthread_mutex_lock(&s->lock);
	for (p = &s->objects; *p; p = &(*p)->next)
		;
	*p = o;
	pthread_mutex_unlock(&s->lock);
	if (out)
		*out = o;
	return 0;
}

void dune_objects_cut(struct dune_sandbox *s, unsigned int keep)
{
	struct dune_object **p = &s->objects, *o, *next;

	while (*p && keep--)
		p = &(*p)->next;
	for (o = *p; o; o = next) {
		next = o->next;
		free(o);
	}
	*p = NULL;
}

struct dune_object *dune_sandbox_object(struct dune_sandbox *s, unsigned int n)
{
	struct dune_object *o;

	pthread_mutex_lock(&s->lock);
	for (o = s->objects; o && n; n--)
		o = o->next;
	pthread_mutex_unlock(&s->lock);
	return o;
}

/* ---- text, both ways ---- */

static int put_text(struct dune_sandbox *s, int lane, const char *text)
{
	char *to = s->box->ch->slot[lane].text;

	if (strlen(text) >= DUNE_CH_TEXT)
		return dune_err(-ENAMETOOLONG, "%.64s...: longer than %d "
				"characters", text, DUNE_CH_TEXT - 1);
	strcpy(to, text);
	return 0;
}

/* What the guest says, as one printable line. */
static void get_text(struct dune_sandbox *s, int lane, char *text,
		     size_t size)
{
	size_t i;

	memcpy(text, s->box->ch->slot[lane].text, size);
	text[size - 1] = '\0';
	for (i = 0; text[i]; i++)
		if (text[i] < ' ' || text[i] > '~')
			text[i] = '?';
}

/* ---- loading ---- */

/* Lets the box open its libraries for one operation. */
static int load_op(struct dune_sandbox *s, int lane, enum dune_ch_op op,
		   const uint64_t *in, uint64_t *out)
{
	struct dune_family *f = s->box->family;
	uint32_t pid = s->box->pid;
	int r;

	dune_phase_enter(f, pid);
	r = dune_lane_op(s, lane, op, in, out);
	dune_phase_leave(f, pid);
	return r;
}

/* A memfd with what is at p. */
static int file_of(const char *what, const void *p, size_t size)
{
	int fd = dune_memfd("dune-host", size, 0);

	if (fd >= 0 && pwrite(fd, p, size, 0) != (ssize_t)size) {
		close(fd);
		return dune_err(-ENOMEM, "%s: no room in shared memory", what);
	}
	return fd;
}

/* The dynamic linker's answer: what an object is from now on, or why not. */
static int loaded(struct dune_sandbox *s, int lane, const char *what,
		  const uint64_t *out, uint64_t *handle)
{
	char text[300];

	if (!out[0]) {
		get_text(s, lane, text, sizeof(text));
		/* it often begins with the name by itself */
		if (!strncmp(text, what, strlen(what)))
			what = "load";
		return dune_err(-ENOEXEC, "%.100s: %s%s", what, text,
				strstr(text, "Permission denied") ?
				"; name its directory in the option policy, "
				"as in \"ro /DIRECTORY\"" : "");
	}
	*handle = out[0];
	return 0;
}

/* A shared object that is in our memory. */
static int load_image(struct dune_sandbox *s, int lane, const char *what,
		      const void *elf, size_t size, int flags,
		      uint64_t *handle)
{
	/* the dynamic linker knows objects by their names */
	uint64_t in[3] = { RTLD_NOW | flags, s->loads }, out[2];
	int fd, r;

	if (s->loads >= DUNE_CH_IMAGES)
		return dune_err(-ENOSPC, "%s: the sandbox was given %d objects "
				"already", what, DUNE_CH_IMAGES);
	fd = file_of(what, elf, size);
	if (fd < 0)
		return fd;
	r = dune_box_send(s->box, &fd, 1);
	close(fd);
	s->loads++;
	if (!r)
		r = load_op(s, lane, DUNE_OP_LOAD_FD, in, out);
	return r ? r : loaded(s, lane, what, out, handle);
}

/* The symbols of callbacks that were registered since the last load. */
static int load_stubs(struct dune_sandbox *s, int lane)
{
	unsigned int first = s->stubs, n = s->callbacks - first, i;
	const char *name[DUNE_CALLBACKS_MAX];
	uint64_t handle;
	void *elf;
	long size;
	int r;

	if (!n)
		return 0;
	for (i = 0; i < n; i++)
		name[i] = s->callback[first + i].name;
	size = dune_stubs_make(name, n, first, s->box->callback, &elf);
	if (size < 0)
		return size;
	r = load_image(s, lane, "callbacks", elf, size, RTLD_GLOBAL, &handle);
	free(elf);
	if (r)
		return r;
	for (i = 0; i < n; i++)
		s->callback[first + i].handle = handle;
	s->stubs = s->callbacks;
	return 0;
}

static int load_path(struct dune_sandbox *s, int lane, const char *path,
		     int flags, uint64_t *handle)
{
	uint64_t in[3] = { RTLD_NOW | flags }, out[2];
	int r = put_text(s, lane, path);

	if (!r)
		r = load_op(s, lane, DUNE_OP_LOAD, in, out);
	return r ? r : loaded(s, lane, path, out, handle);
}

/* By its path, or what is at elf. */
static int load(struct dune_sandbox *s, const char *path, const void *elf,
		size_t size, unsigned int flags, struct dune_object **object)
{
	int rtld = flags & DUNE_LOAD_GLOBAL ? RTLD_GLOBAL : RTLD_LOCAL;
	uint64_t handle = 0;
	int lane = dune_lane_take(s), r;

	if (dune_box_dead(s->box))
		r = dune_err(-ESTALE, "sandbox: dead; dune_sandbox_reset() "
			     "brings it back");
	else
		r = load_stubs(s, lane);
	if (!r)
		r = path ? load_path(s, lane, path, rtld, &handle) :
			   load_image(s, lane, "object in memory", elf, size,
				      rtld, &handle);
	dune_lane_give(s, lane);
	return r ? r : dune_object_add(s, handle, object);
}

int dune_sandbox_load(struct dune_sandbox *s, const char *path,
		      unsigned int flags, struct dune_object **object)
{
	char real[PATH_MAX];

	*object = NULL;
	if (!*path || flags & ~DUNE_LOAD_GLOBAL)
		return dune_err(-EINVAL, "load: no path, or unknown flags");
	if (strchr(path, '/')) {
		if (!realpath(path, real))
			return dune_err(-ENOENT, "%s: %s", path,
					strerror(errno));
		path = real;
	}
	return load(s, path, NULL, 0, flags, object);
}

int dune_sandbox_load_memory(struct dune_sandbox *s, const void *elf,
			     size_t size, unsigned int flags,
			     struct dune_object **object)
{
	*object = NULL;
	if (!size || flags & ~DUNE_LOAD_GLOBAL)
		return dune_err(-EINVAL, "load: nothing, or unknown flags");
	return load(s, NULL, elf, size, flags, object);
}

/* ---- symbols ---- */

static int symbol(struct dune_sandbox *s, uint64_t handle, const char *name,
		  dune_addr *addr)
{
	int lane = dune_lane_take(s), r;
	uint64_t in[3] = { handle }, out[2] = { 0 };

	addr->v = 0;
	r = put_text(s, lane, name);
	if (!r)
		r = dune_lane_op(s, lane, DUNE_OP_SYMBOL, in, out);
	dune_lane_give(s, lane);
	if (r)
		return r;
	if (out[0] != 1)
		return dune_err(-ENOENT, "%.100s: no such symbol", name);
	addr->v = out[1];
	return 0;
}

int dune_object_symbol(struct dune_object *o, const char *name,
		       dune_addr *addr)
{
	return symbol(o->box, o->handle, name, addr);
}

int dune_object_function(struct dune_object *o, const char *name,
			 struct dune_function *f)
{
	f->box = o->box;
	return dune_object_symbol(o, name, &f->addr);
}

/* ---- callbacks ---- */

static struct dune_host_callback *find(struct dune_sandbox *s,
				       const char *name)
{
	unsigned int i;

	for (i = 0; i < s->callbacks; i++)
		if (!strcmp(s->callback[i].name, name))
			return &s->callback[i];
	return NULL;
}

static int check_callback(const struct dune_callback *c)
{
	unsigned int i;

	if (!c->name || !*c->name || strlen(c->name) > 255 || !c->fn ||
	    c->args > DUNE_ARGS_MAX || c->type > DUNE_FLOAT)
		return dune_err(-EINVAL, "callback: a name, a function, at "
				"most %d arguments", DUNE_ARGS_MAX);
	for (i = 0; i < c->args; i++)
		if (c->arg[i] == DUNE_VOID || c->arg[i] > DUNE_FLOAT)
			return dune_err(-EINVAL, "callback %s: argument %u has "
					"no type", c->name, i);
	return 0;
}

int dune_callback_missing(struct dune_sandbox *s, void *ctx,
			  const uint64_t *value, uint64_t *result)
{
	(void)s, (void)ctx, (void)value, (void)result;
	return dune_err(-ENOSYS, "callback: not given to the sandbox since it "
			"was restored; call dune_sandbox_callbacks()");
}

static bool same_types(const struct dune_callback *a,
		       const struct dune_callback *b)
{
	return a->type == b->type && a->args == b->args &&
	       !memcmp(a->arg, b->arg, a->args);
}

/* Where it goes: a new place, or what a restored sandbox imports. */
static int place_callback(struct dune_sandbox *s, const struct dune_callback *c,
			  struct dune_host_callback **out)
{
	struct dune_host_callback *h = find(s, c->name);

	*out = h;
	if (h && h->c.fn != dune_callback_missing)
		return dune_err(-EEXIST, "callback %s: is there already",
				c->name);
	if (h)
		return same_types(&h->c, c) ? 0 :
			dune_err(-EINVAL, "callback %s: it had other types "
				 "when the sandbox was saved", c->name);
	if (s->callbacks == DUNE_CALLBACKS_MAX)
		return dune_err(-ENOSPC, "callback %s: more than %d", c->name,
				DUNE_CALLBACKS_MAX);
	h = &s->callback[s->callbacks];
	h->name = strdup(c->name);
	if (!h->name)
		return dune_err(-ENOMEM, "callback: out of memory");
	h->handle = 0;
	s->callbacks++;
	*out = h;
	return 0;
}

int dune_sandbox_callbacks(struct dune_sandbox *s,
			   const struct dune_callback *v, size_t n, void *ctx)
{
	struct dune_host_callback *c;
	int r = dune_sandbox_stop(s);
	size_t i;

	if (r)
		return r;
	for (i = 0; !r && i < n; i++) {
		r = check_callback(&v[i]);
		if (!r)
			r = place_callback(s, &v[i], &c);
		if (!r) {
			c->c = v[i];
			c->ctx = ctx;
		}
	}
	dune_sandbox_go(s);
	return r;
}

int dune_sandbox_context(struct dune_sandbox *s, const char *name, void *ctx)
{
	int r = dune_sandbox_stop(s), err = name ? -ENOENT : 0;
	unsigned int i;

	if (r)
		return r;
	for (i = 0; i < s->callbacks; i++)
		if (!name || !strcmp(s->callback[i].name, name)) {
			s->callback[i].ctx = ctx;
			err = 0;
		}
	dune_sandbox_go(s);
	return err ? dune_err(err, "callback %.100s: there is none", name) : 0;
}

int dune_sandbox_callback_addr(struct dune_sandbox *s, const char *name,
			       dune_addr *addr)
{
	int lane = dune_lane_take(s);	/* nobody adds any meanwhile */
	struct dune_host_callback *c = find(s, name);
	uint64_t handle = c ? c->handle : 0;

	dune_lane_give(s, lane);
	addr->v = 0;
	if (!handle)
		return dune_err(-ENOENT, "callback %.100s: %s", name,
				c ? "load an object first" : "there is none");
	return symbol(s, handle, name, addr);
}
