#include "textflag.h"

// func asciiBlocks(p *byte, n int) bool
//
// It ORs all bytes together, 64 in a round, in the registers that every amd64
// processor has. The last round overlaps the one before.
TEXT ·asciiBlocks(SB), NOSPLIT, $0-17
	MOVQ p+0(FP), SI
	MOVQ n+8(FP), CX
	PXOR X0, X0
	PXOR X1, X1

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

done:
	POR      X1, X0
	PMOVMSKB X0, AX
	TESTL    AX, AX
	SETEQ    ret+16(FP)
	RET
