/* The programs that libdune brings along: monitor and runner. */
	.section .rodata
	.balign 64
	.globl dune_monitor_start, dune_monitor_end
dune_monitor_start:
	.incbin DUNE_MONITOR
dune_monitor_end:
	.balign 64
	.globl dune_runner_start, dune_runner_end
dune_runner_start:
	.incbin DUNE_RUNNER
dune_runner_end:
	.section .note.GNU-stack, "", @progbits
