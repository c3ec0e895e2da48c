/* The entry point: hands the stack that the kernel made (argc, argv, envp) to init_main, on an aligned stack. */
#if defined(__x86_64__)
	.globl _start
	.type _start, @function
_start:
	xor %ebp, %ebp
	mov %rsp, %rdi
	and $-16, %rsp
	call init_main
	hlt
#elif defined(__aarch64__)
	.globl _start
	.type _start, %function
_start:
	mov x29, xzr
	mov x30, xzr
	mov x0, sp
	and sp, x0, #-16
	bl init_main
#endif
	.section .note.GNU-stack,"",%progbits
