/* The object that is loaded beside the libraries: in-box.c. */
	.section .rodata
	.balign 64
	.globl box_glue_start, box_glue_end
box_glue_start:
	.incbin BOX_GLUE
box_glue_end:
	.section .note.GNU-stack, "", @progbits
