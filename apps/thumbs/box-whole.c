/*
 * JPEG and WebP in a sandbox: one call of the glue in there, or a second when
 * only then there is room for the pixels.
 */
#include <stddef.h>
#include "box.h"
#include "in-box.h"

DUNE_PLUGIN_CALL(call_job, int, dune_addr)

/* One call: its result, and what it says of the size. */
static int try(struct worker *w, int function, struct in_box_job *job, int *r)
{
	int err;

	job->pixels = w->room[w->pixels].at.v;
	job->room = w->room[w->pixels].size;
	err = dune_sandbox_copy_in(w->box, w->state, job, sizeof(*job));
	if (!err)
		err = call_job(&w->f[function], r, w->state);
	if (!err)
		err = dune_sandbox_copy_out(w->box, job, w->state,
					    sizeof(*job));
	return err;
}

static int whole(struct worker *w, int function, const char *who)
{
	struct in_box_job job = { .file = w->in.v, .size = w->im->size };
	int err, r;

	err = box_alloc(w, sizeof(job), &w->state);
	if (!err)
		err = try(w, function, &job, &r);
	if (!err && (!r || !job.error[0])) {
		err = box_room(w, job.width, job.height);
		if (!err && r)
			err = try(w, function, &job, &r);
	}
	if (err || !r)
		return err;
	return box_says(w, who, (dune_addr) {
		w->state.v + offsetof(struct in_box_job, error) });
}

int box_jpeg(struct worker *w)
{
	return whole(w, F_in_box_jpeg, "JPEG");
}

int box_webp(struct worker *w)
{
	return whole(w, F_in_box_webp, "WebP");
}
