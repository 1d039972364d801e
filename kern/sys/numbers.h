/*
 * Numbers of system calls that are newer than Debian 12's headers (6.1).
 */
#ifndef DUNE_KERN_SYS_NUMBERS_H
#define DUNE_KERN_SYS_NUMBERS_H

#include <asm/unistd_64.h>

#ifndef __NR_uretprobe
#define __NR_uretprobe			335
#endif
#ifndef __NR_uprobe
#define __NR_uprobe			336
#endif
#ifndef __NR_cachestat
#define __NR_cachestat			451
#endif
#ifndef __NR_fchmodat2
#define __NR_fchmodat2			452
#endif
#ifndef __NR_map_shadow_stack
#define __NR_map_shadow_stack		453
#endif
#ifndef __NR_futex_wake
#define __NR_futex_wake			454
#define __NR_futex_wait			455
#define __NR_futex_requeue		456
#endif
#ifndef __NR_statmount
#define __NR_statmount			457
#define __NR_listmount			458
#endif
#ifndef __NR_lsm_get_self_attr
#define __NR_lsm_get_self_attr		459
#define __NR_lsm_set_self_attr		460
#define __NR_lsm_list_modules		461
#endif
#ifndef __NR_mseal
#define __NR_mseal			462
#endif
#ifndef __NR_setxattrat
#define __NR_setxattrat			463
#define __NR_getxattrat			464
#define __NR_listxattrat		465
#define __NR_removexattrat		466
#endif
#ifndef __NR_open_tree_attr
#define __NR_open_tree_attr		467
#endif
#ifndef __NR_file_getattr
#define __NR_file_getattr		468
#define __NR_file_setattr		469
#endif
#ifndef __NR_listns
#define __NR_listns			470
#endif
#ifndef __NR_rseq_slice_yield
#define __NR_rseq_slice_yield		471
#endif

#endif
