#include "textflag.h"

// Both functions OR all bytes together, 64 in a round, in the registers that every
// amd64 processor has. The last round overlaps the one before: it ends where the
// bytes end. Less than 64 bytes are two halves that overlap.

// func asciiBlocks(p *byte, n int) bool
TEXT ·asciiBlocks(SB), NOSPLIT, $0-17
	MOVQ p+0(FP), SI
	MOVQ n+8(FP), CX
	PXOR X0, X0
	PXOR X1, X1
	CMPQ CX, $64
	JLT  half

round:
	MOVOU 0(SI), X2
	MOVOU 16(SI), X3
	MOVOU 32(SI), X4
	MOVOU 48(SI), X5
	POR   X2, X0
	POR   X3, X1
	POR   X4, X0
	POR   X5, X1
	SUBQ  $64, CX
	ADDQ  $64, SI
	CMPQ  CX, $64
	JGE   round
	TESTQ CX, CX
	JE    done

	// As many bytes are left as CX says; begin 64 before their end.
	LEAQ -64(SI)(CX*1), SI
	MOVQ $64, CX
	JMP  round

half:
	MOVOU 0(SI), X2
	MOVOU 16(SI), X3
	MOVOU -32(SI)(CX*1), X4
	MOVOU -16(SI)(CX*1), X5
	POR   X2, X0
	POR   X3, X1
	POR   X4, X0
	POR   X5, X1

done:
	POR      X1, X0
	PMOVMSKB X0, AX
	TESTL    AX, AX
	SETEQ    ret+16(FP)
	RET

// func copyASCII(dst, src *byte, n int) bool
TEXT ·copyASCII(SB), NOSPLIT, $0-25
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	PXOR X0, X0
	PXOR X1, X1
	CMPQ CX, $64
	JLT  half

round:
	MOVOU 0(SI), X2
	MOVOU 16(SI), X3
	MOVOU 32(SI), X4
	MOVOU 48(SI), X5
	MOVOU X2, 0(DI)
	MOVOU X3, 16(DI)
	MOVOU X4, 32(DI)
	MOVOU X5, 48(DI)
	POR   X2, X0
	POR   X3, X1
	POR   X4, X0
	POR   X5, X1
	SUBQ  $64, CX
	ADDQ  $64, SI
	ADDQ  $64, DI
	CMPQ  CX, $64
	JGE   round
	TESTQ CX, CX
	JE    done
	LEAQ  -64(SI)(CX*1), SI
	LEAQ  -64(DI)(CX*1), DI
	MOVQ  $64, CX
	JMP   round

half:
	MOVOU 0(SI), X2
	MOVOU 16(SI), X3
	MOVOU -32(SI)(CX*1), X4
	MOVOU -16(SI)(CX*1), X5
	MOVOU X2, 0(DI)
	MOVOU X3, 16(DI)
	MOVOU X4, -32(DI)(CX*1)
	MOVOU X5, -16(DI)(CX*1)
	POR   X2, X0
	POR   X3, X1
	POR   X4, X0
	POR   X5, X1

done:
	POR      X1, X0
	PMOVMSKB X0, AX
	TESTL    AX, AX
	SETEQ    ret+24(FP)
	RET
