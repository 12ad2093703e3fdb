/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The head of the guest program: what a boot loader takes for a Linux kernel, and the
 * way from there to 32 bits. Its first two sectors are loaded at REAL, the rest at 1 MiB.
 */
#define REAL	0x10000
#define STACK	0x90000

	.section .setup, "ax"
	.code16
setup:
	.org 0x1f1
	.byte 1				/* sectors that follow this one */
	.org 0x1fe
	.word 0xaa55
	jmp real
	.ascii "HdrS"
	.word 0x0202			/* version of the boot protocol */
	.org 0x211
	.byte 1				/* the rest goes to 1 MiB */
	.org 0x228
	.long 0				/* address of the command line */
	.org 0x280
real:
	cli
	lgdtl %ds:gdtr - setup
	movl %cr0, %eax
	orl $1, %eax
	movl %eax, %cr0
	ljmpl $8, $start
	.balign 8
gdt:
	.quad 0
	.quad 0x00cf9b000000ffff	/* 8: code */
	.quad 0x00cf93000000ffff	/* 16: data */
gdtr:
	.word gdtr - gdt - 1
	.long REAL + gdt - setup
	.org 0x400

	.section .start, "ax"
	.code32
start:
	movw $16, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movl $STACK, %esp
	pushl REAL + 0x228
	call guest
1:	hlt
	jmp 1b

	.section .note.GNU-stack, "", @progbits
