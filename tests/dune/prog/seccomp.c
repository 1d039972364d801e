/*
 * A thread that restricts itself by a filter leaves Dune mode, which the filter
 * would forbid, and goes on natively; others stay.
 */
#include "test.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

static void *restricts(void *use_prctl)
{
	struct sock_filter no_ioctl[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { 4, no_ioctl };

	CHECK(dune_in_dune_mode());
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(dune_in_dune_mode());
	if (use_prctl)
		CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0);
	else
		CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0,
			      &prog) == 0);
	CHECK(!dune_in_dune_mode());
	CHECK(dune_leave() == -EPERM);
	CHECK(dune_enter() < 0 && *dune_errmsg());
	CHECK(!dune_in_dune_mode());
	FAILS(ENOSYS, syscall(SYS_ioctl, 0, 0, 0));
	CHECK(getpid() > 0);
	return use_prctl;
}

int main(void)
{
	pthread_t t;

	OK(dune_enter());
	if (prctl(PR_GET_SECCOMP) < 0)
		SKIP("this kernel has no seccomp");
	CHECK(pthread_create(&t, NULL, restricts, NULL) == 0);
	CHECK(pthread_join(t, NULL) == 0);
	CHECK(pthread_create(&t, NULL, restricts, "") == 0);
	CHECK(pthread_join(t, NULL) == 0);
	CHECK(dune_in_dune_mode());
	say("others stay\n");
	restricts(&t);
	say("seccomp\n");
	return 0;
}
