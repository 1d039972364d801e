/*
 * Warm shells: empty sandboxes made ahead. The second one with the same options
 * and rules makes a frozen one of its kind, of which later ones are forked;
 * a spare of it is mostly there. A hint only: without one a sandbox is started
 * from the beginning.
 */
#include "libdune/sandbox/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "kern/err.h"

/* Kinds that are remembered: each may cost two processes. */
#define KINDS 16

struct dune_shell {
	struct dune_shell *next;
	struct dune_sandbox_options o;
	char *rules;
	unsigned int wanted;
	bool busy;			/* somebody is making `frozen` */
	struct dune_sandbox *frozen;	/* with a snapshot, without a box */
};

/* Under the engine's lock: the shell of this kind, a new one, or NULL. */
static struct dune_shell *find(struct dune_sandbox *s)
{
	struct dune_shell *h;
	unsigned int n = 0;

	for (h = s->engine->shells; h; h = h->next, n++)
		if (!memcmp(&h->o, &s->o, sizeof(h->o)) &&
		    !strcmp(h->rules, s->rules))
			return h;
	h = n < KINDS ? calloc(1, sizeof(*h)) : NULL;
	if (!h)
		return NULL;
	h->rules = strdup(s->rules);
	if (!h->rules) {
		free(h);
		return NULL;
	}
	h->o = s->o;
	h->next = s->engine->shells;
	s->engine->shells = h;
	return h;
}

static int freeze_empty(struct dune_sandbox *s, struct dune_sandbox **out)
{
	struct dune_sandbox *f;
	struct dune_box *box;
	int r = dune_sandbox_new(s->engine, &s->o, s->rules, &f);

	if (r)
		return r;
	r = dune_box_start(f, NULL, &box);
	if (!r) {
		dune_sandbox_use(f, box);
		r = dune_sandbox_snapshot(f);
	}
	if (r) {
		dune_sandbox_destroy(f);
		return r;
	}
	/* nobody calls this one */
	dune_engine_do(s->engine, dune_box_free_job, f->box);
	f->box = NULL;
	*out = f;
	return 0;
}

int dune_shell_take(struct dune_sandbox *s, struct dune_box **out)
{
	struct dune_engine *e = s->engine;
	struct dune_sandbox *frozen = NULL;
	struct dune_shell *h;
	bool make = false;

	pthread_mutex_lock(&e->lock);
	h = find(s);
	if (h && !h->busy) {
		frozen = h->frozen;
		make = ++h->wanted > 1 && !frozen;
		h->busy = make;
	}
	pthread_mutex_unlock(&e->lock);
	if (make) {
		if (freeze_empty(s, &frozen))
			frozen = NULL;
		pthread_mutex_lock(&e->lock);
		h->frozen = frozen;
		/* not again for each one, where it cannot be done */
		h->busy = !frozen;
		pthread_mutex_unlock(&e->lock);
	}
	return frozen ? dune_snapshot_take(frozen, out) : -ENOENT;
}

void dune_shells_free(struct dune_engine *e)
{
	struct dune_shell *h, *next;

	for (h = e->shells; h; h = next) {
		next = h->next;
		/* the frozen ones are the engine's sandboxes like others */
		free(h->rules);
		free(h);
	}
	e->shells = NULL;
}
