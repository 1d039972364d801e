/* Mailboxes: the host's side of mailbox.h. */
#include "kern/vm/mailbox.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "kern/err.h"
#include "kern/vm/ring0.h"

#define NR_GETPID 39
#define NR_GETTID 186

/* From this place on, something else holds; sorted, AT_NOTHING ends them. */
struct place {
	uint16_t offset, what;
};

extern const char dune_entry_soft_code[], dune_entry_hard_code[];
extern const struct place dune_entry_soft_places[], dune_entry_hard_places[];

#define AT(field, offset) \
	_Static_assert(offsetof(struct dune_mailbox, field) == (offset), \
		       "the entry code knows another place of " #field)
AT(state, DUNE_BOX_STATE);
AT(ret, DUNE_BOX_RET);
AT(nr, DUNE_BOX_NR);
AT(arg, DUNE_BOX_ARG);
AT(open, DUNE_BOX_OPEN);
AT(spins, DUNE_BOX_SPINS);
AT(pid, DUNE_BOX_PID);
AT(tid, DUNE_BOX_TID);
AT(budget, DUNE_BOX_BUDGET);
AT(rip, DUNE_BOX_RIP);
AT(rflags, DUNE_BOX_RFLAGS);
AT(rsp, DUNE_BOX_RSP);
AT(pids, DUNE_BOX_COUNT_PID);
AT(tids, DUNE_BOX_COUNT_TID);
_Static_assert(sizeof(struct dune_mailbox) == DUNE_BOX_STACK_TOP,
	       "the entry code has another stack");

enum { IDLE, GUEST, SERVING, SERVING_AWAITED };

/* Everything in the page is read and written once, as the guest may, too. */
#define GET(x)		__atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define SET(x, v)	__atomic_store_n(&(x), (v), __ATOMIC_RELEASE)

static const struct place *places(const struct dune_vcpu *c)
{
	return c->vm->kind.native_ring0 ? dune_entry_hard_places :
					  dune_entry_soft_places;
}

static size_t code_size(const struct place *p)
{
	while (p->what != DUNE_AT_NOTHING)
		p++;
	return p->offset;
}

/* Where `syscall` enters; in front of it is what rewritten sites use. */
static size_t call_offset(const struct place *p)
{
	while (p->what != DUNE_AT_ENTRY)
		p++;
	return p->offset;
}

int dune_mailbox_make(struct dune_vcpu *c)
{
	bool hard = c->vm->kind.native_ring0;
	const char *code = hard ? dune_entry_hard_code : dune_entry_soft_code;
	union {
		struct kvm_msrs head;
		char room[sizeof(struct kvm_msrs) +
			  sizeof(struct kvm_msr_entry)];
	} msrs;
	dune_gpa_t gpa, root_gpa = 0;
	uint64_t *root = NULL;
	char *page;
	int r;

	if (c->box)
		return 0;
	page = dune_ring0_pages(c->vm, DUNE_MAILBOX_SIZE, &gpa);
	if (!page)
		return dune_err(-ENOMEM, "the VM's ring 0 area is used up");
	memcpy(page, code, code_size(places(c)));
	r = dune_ring0_map_mailbox(c->vm, gpa);
	if (!r && !hard)
		r = dune_ring0_own_root(c->vm, gpa, &root, &root_gpa);
	if (r)
		return r;
	memset(&msrs, 0, sizeof(msrs));
	msrs.head.nmsrs = 1;
	dune_ring0_entry_msr(msrs.head.entries, gpa + call_offset(places(c)));
	if (ioctl(c->fd, KVM_SET_MSRS, &msrs) != 1)
		return dune_err(-EIO, "KVM refused the system call MSRs");
	if (root) {
		c->root = root;
		c->run->s.regs.sregs.cr3 = root_gpa;
		c->edited = true;
	}
	c->entry = gpa;
	c->box_owner = IDLE;
	c->box = (struct dune_mailbox *)(page + DUNE_PAGE_SIZE);
	return 0;
}

void dune_mailbox_reset(struct dune_vcpu *c)
{
	if (c->box)
		memset(c->box, 0, sizeof(*c->box));
	c->box_served = false;
	c->box_late = 0;
}

void dune_mailbox_serve(struct dune_vcpu *c, bool served)
{
	c->box_served = served;
}

void dune_mailbox_open(struct dune_vcpu *c, bool open)
{
	/* mostly it is: no need to take the line from the guest's CPU */
	if (GET(c->box->spins) != c->box_spins)
		SET(c->box->spins, c->box_spins);
	if (GET(c->box->open) != open)
		SET(c->box->open, open);
}

void dune_mailbox_identity(struct dune_vcpu *c, uint32_t pid, uint32_t tid)
{
	SET(c->box->pid, pid);
	SET(c->box->tid, tid);
}

void dune_mailbox_budget(struct dune_vcpu *c, int32_t answers)
{
	SET(c->box->budget, answers);
}

void dune_mailbox_counts(struct dune_vcpu *c, uint32_t *pids, uint32_t *tids)
{
	*pids = __atomic_exchange_n(&c->box->pids, 0, __ATOMIC_RELAXED);
	*tids = __atomic_exchange_n(&c->box->tids, 0, __ATOMIC_RELAXED);
}

/* ---- the proxy's side ---- */

/* The vCPU is the guest's again, or its thread's, if that is waiting. */
static void let_go(struct dune_vcpu *c)
{
	if (__atomic_exchange_n(&c->box_owner, GUEST, __ATOMIC_SEQ_CST) ==
	    SERVING_AWAITED)
		syscall(SYS_futex, &c->box_owner, FUTEX_WAKE_PRIVATE, 1, NULL,
			NULL, 0);
}

bool dune_mailbox_take(struct dune_vcpu *c, struct dune_post *post)
{
	struct dune_mailbox *m = c->box;
	uint32_t guest = GUEST;
	unsigned int i;

	if (GET(m->state) != DUNE_BOX_POSTED ||
	    !__atomic_compare_exchange_n(&c->box_owner, &guest, SERVING, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		return false;
	/* it may have been taken back before that; now it cannot be */
	if (GET(m->state) != DUNE_BOX_POSTED) {
		let_go(c);
		return false;
	}
	post->nr = GET(m->nr);
	for (i = 0; i < DUNE_ARRAY_SIZE(post->arg); i++)
		post->arg[i] = GET(m->arg[i]);
	return true;
}

uint64_t dune_mailbox_rip(const struct dune_vcpu *c)
{
	return GET(c->box->rip);
}

void dune_mailbox_answer(struct dune_vcpu *c, long ret)
{
	SET(c->box->ret, (uint64_t)ret);
	SET(c->box->state, DUNE_BOX_DONE);
	let_go(c);
}

void dune_mailbox_decline(struct dune_vcpu *c)
{
	SET(c->box->state, DUNE_BOX_DECLINED);
	let_go(c);
}

/* ---- the vCPU's side ---- */

void dune_mailbox_enter(struct dune_vcpu *c)
{
	SET(c->box_owner, c->box_served ? GUEST : IDLE);
}

void dune_mailbox_leave(struct dune_vcpu *c)
{
	for (;;) {
		uint32_t seen = GUEST;

		if (__atomic_compare_exchange_n(&c->box_owner, &seen, IDLE,
						false, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST) ||
		    seen == IDLE)
			return;
		if (seen == SERVING &&
		    !__atomic_compare_exchange_n(&c->box_owner, &seen,
						 SERVING_AWAITED, false,
						 __ATOMIC_SEQ_CST,
						 __ATOMIC_SEQ_CST))
			continue;
		syscall(SYS_futex, &c->box_owner, FUTEX_WAIT_PRIVATE,
			SERVING_AWAITED, NULL, NULL, 0);
	}
}

/* rcx and r11 are the caller's rip and rflags. */
static void caller(struct dune_vcpu *c, uint64_t rip, uint64_t rflags)
{
	c->u.rcx = c->u.rip = rip;
	c->u.r11 = c->u.rflags = rflags;
}

static enum dune_exit call_again(struct dune_vcpu *c, uint64_t nr)
{
	c->u.rax = nr;
	caller(c, c->u.rcx, c->u.r11);
	return DUNE_EXIT_SYSCALL;
}

static enum dune_exit answered(struct dune_vcpu *c)
{
	c->u.rax = GET(c->box->ret);
	caller(c, GET(c->box->rip), GET(c->box->rflags));
	c->edited = true;
	return DUNE_EXIT_INTR;
}

/* Posted, and the proxy has nothing in hand: served, or ours to serve. */
static enum dune_exit posted(struct dune_vcpu *c, bool waited)
{
	uint32_t state = GET(c->box->state);

	if (state == DUNE_BOX_DONE)
		return answered(c);
	if (state == DUNE_BOX_POSTED && waited) {
		/* nobody is looking: until the proxy comes and opens it */
		SET(c->box->open, 0);
		__atomic_fetch_add(&c->box_late, 1, __ATOMIC_RELAXED);
	}
	SET(c->box->state, DUNE_BOX_FREE);
	c->u.rax = GET(c->box->nr);
	caller(c, GET(c->box->rip), GET(c->box->rflags));
	return DUNE_EXIT_SYSCALL;
}

bool dune_mailbox_found(struct dune_vcpu *c, bool by_out, enum dune_exit *e)
{
	const struct place *first = places(c), *p = first;
	uint64_t code = c->root && c->u.rip >= DUNE_SITES_GVA ?
			DUNE_SITES_GVA : DUNE_RING0_GVA + c->entry;
	uint64_t off = c->u.rip - code;

	if (!c->box || off >= code_size(first))
		return false;
	while (p[1].offset <= off)
		p++;
	/* KVM leaves rip at the `out` or after it, by how it was handled */
	if (by_out && p->what == DUNE_AT_SYSRET && p->offset == off) {
		off -= DUNE_OUT_LEN;
		p--;
	}
	if (by_out && (p->offset != off ||
		       (p->what != DUNE_AT_OUT && p->what != DUNE_AT_WAIT)))
		return false;
	c->edited = !by_out;
	switch (p->what) {
	case DUNE_AT_ENTRY:
	case DUNE_AT_OUT:
		*e = call_again(c, c->u.rax);
		break;
	case DUNE_AT_SITE_STACK:
		c->u.rsp = GET(c->box->rsp);
		/* fall through */
	case DUNE_AT_SITE:
		c->u.r11 = c->u.rflags;
		*e = call_again(c, c->u.rax);
		break;
	case DUNE_AT_PID:
		*e = call_again(c, NR_GETPID);
		break;
	case DUNE_AT_TID:
		*e = call_again(c, NR_GETTID);
		break;
	case DUNE_AT_POSTED:
	case DUNE_AT_WAIT:
		*e = posted(c, by_out);
		break;
	case DUNE_AT_DONE:
		*e = answered(c);
		break;
	case DUNE_AT_LEAVE_STACK:
		c->u.rsp = GET(c->box->rsp);
		/* fall through */
	default:
		caller(c, c->u.rcx, c->u.r11);
		*e = DUNE_EXIT_INTR;
	}
	c->user_mode = true;
	return true;
}
