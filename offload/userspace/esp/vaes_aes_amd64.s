//go:build !purego

#include "textflag.h"
#include "vaes_amd64.h"

// AES-CTR, AES-CBC and the key schedule with VAES.

DATA firstFour<>+0x00(SB)/8, $0
DATA firstFour<>+0x08(SB)/8, $0
DATA firstFour<>+0x10(SB)/8, $1
DATA firstFour<>+0x18(SB)/8, $0
DATA firstFour<>+0x20(SB)/8, $2
DATA firstFour<>+0x28(SB)/8, $0
DATA firstFour<>+0x30(SB)/8, $3
DATA firstFour<>+0x38(SB)/8, $0
GLOBL firstFour<>(SB), RODATA|NOPTR, $64

// func vaesCTR(k *vaesRounds, dst, src *byte, n int, first *[16]byte)
TEXT ·vaesCTR(SB), NOSPLIT, $0-40
	MOVQ k+0(FP), AX
	MOVQ dst+8(FP), DI
	MOVQ src+16(FP), SI
	MOVQ n+24(FP), CX
	MOVQ first+32(FP), R11
	CONSTANTS
	ROUNDKEYS(0)
	VBROADCASTI32X4 (R11), Z10
	VPSHUFB         Z11, Z10, Z10
	VPADDD          firstFour<>(SB), Z10, Z10
	CMPQ            CX, $256
	JB              ctrTail

ctrLoop:
	COUNTERS4
	AES4(ctrLoopLast)
	SEALSTORE
	ADDQ $256, SI
	ADDQ $256, DI
	SUBQ $256, CX
	CMPQ CX, $256
	JAE  ctrLoop

ctrTail:
	TESTQ CX, CX
	JZ    ctrDone

ctrTailLoop:
	MASK
	AES1(ctrTailLast)
	VMOVDQU8.Z (SI), K1, Z7
	VPXORQ     Z7, Z0, Z0
	VMOVDQU8   Z0, K1, (DI)
	ADDQ       $64, SI
	ADDQ       $64, DI
	SUBQ       $64, CX
	JA         ctrTailLoop

ctrDone:
	VZEROUPPER
	RET

// func vaesCBCSeal(k *vaesRounds, dst, src *byte, n int, iv *[16]byte)
//
// Each block waits for the one before: nothing to do in parallel.
TEXT ·vaesCBCSeal(SB), NOSPLIT, $0-40
	MOVQ k+0(FP), AX
	MOVQ dst+8(FP), DI
	MOVQ src+16(FP), SI
	MOVQ n+24(FP), CX
	MOVQ iv+32(FP), R11
	ROUNDKEYS(0)
	VMOVDQU (R11), X0

cbcSealLoop:
	VPXORQ      (SI), X16, X1
	VPXORQ      X1, X0, X0
	VAESENC     X17, X0, X0
	VAESENC     X18, X0, X0
	VAESENC     X19, X0, X0
	VAESENC     X20, X0, X0
	VAESENC     X21, X0, X0
	VAESENC     X22, X0, X0
	VAESENC     X23, X0, X0
	VAESENC     X24, X0, X0
	VAESENC     X25, X0, X0
	CMPQ        R8, $12
	JB          cbcSealLast
	VAESENC     X27, X0, X0
	VAESENC     X28, X0, X0
	JE          cbcSealLast
	VAESENC     X29, X0, X0
	VAESENC     X30, X0, X0

cbcSealLast:
	VAESENCLAST X26, X0, X0
	VMOVDQU     X0, (DI)
	ADDQ        $16, SI
	ADDQ        $16, DI
	SUBQ        $16, CX
	JA          cbcSealLoop
	VZEROUPPER
	RET

#define DROUND4(k) \
	VAESDEC k, Z0, Z0; \
	VAESDEC k, Z1, Z1; \
	VAESDEC k, Z2, Z2; \
	VAESDEC k, Z3, Z3

// func vaesCBCOpen(k *vaesRounds, dst, src *byte, n int)
//
// Backwards: in place, each block then still finds the ciphertext before it.
TEXT ·vaesCBCOpen(SB), NOSPLIT, $0-32
	MOVQ k+0(FP), AX
	MOVQ dst+8(FP), DI
	MOVQ src+16(FP), SI
	MOVQ n+24(FP), CX
	ROUNDKEYS(0)
	CMPQ CX, $256
	JB   cbcOpenTail

cbcOpenLoop:
	SUBQ        $256, CX
	VPXORQ      0(SI)(CX*1), Z16, Z0
	VPXORQ      64(SI)(CX*1), Z16, Z1
	VPXORQ      128(SI)(CX*1), Z16, Z2
	VPXORQ      192(SI)(CX*1), Z16, Z3
	DROUND4(Z17)
	DROUND4(Z18)
	DROUND4(Z19)
	DROUND4(Z20)
	DROUND4(Z21)
	DROUND4(Z22)
	DROUND4(Z23)
	DROUND4(Z24)
	DROUND4(Z25)
	CMPQ        R8, $12
	JB          cbcOpenLast
	DROUND4(Z27)
	DROUND4(Z28)
	JE          cbcOpenLast
	DROUND4(Z29)
	DROUND4(Z30)

cbcOpenLast:
	VAESDECLAST Z26, Z0, Z0
	VAESDECLAST Z26, Z1, Z1
	VAESDECLAST Z26, Z2, Z2
	VAESDECLAST Z26, Z3, Z3
	VPXORQ      -16(SI)(CX*1), Z0, Z0
	VPXORQ      48(SI)(CX*1), Z1, Z1
	VPXORQ      112(SI)(CX*1), Z2, Z2
	VPXORQ      176(SI)(CX*1), Z3, Z3
	VMOVDQU64   Z0, 0(DI)(CX*1)
	VMOVDQU64   Z1, 64(DI)(CX*1)
	VMOVDQU64   Z2, 128(DI)(CX*1)
	VMOVDQU64   Z3, 192(DI)(CX*1)
	CMPQ        CX, $256
	JAE         cbcOpenLoop

cbcOpenTail:
	TESTQ       CX, CX
	JZ          cbcOpenDone
	// The last 1 to 4 blocks: BX is where they start.
	LEAQ        -1(CX), BX
	ANDQ        $-64, BX
	SUBQ        BX, CX
	MASK
	MOVQ        BX, CX
	VMOVDQU8.Z  (SI)(BX*1), K1, Z0
	VMOVDQU8.Z  -16(SI)(BX*1), K1, Z7
	VPXORQ      Z16, Z0, Z0
	VAESDEC     Z17, Z0, Z0
	VAESDEC     Z18, Z0, Z0
	VAESDEC     Z19, Z0, Z0
	VAESDEC     Z20, Z0, Z0
	VAESDEC     Z21, Z0, Z0
	VAESDEC     Z22, Z0, Z0
	VAESDEC     Z23, Z0, Z0
	VAESDEC     Z24, Z0, Z0
	VAESDEC     Z25, Z0, Z0
	CMPQ        R8, $12
	JB          cbcOpenTailLast
	VAESDEC     Z27, Z0, Z0
	VAESDEC     Z28, Z0, Z0
	JE          cbcOpenTailLast
	VAESDEC     Z29, Z0, Z0
	VAESDEC     Z30, Z0, Z0

cbcOpenTailLast:
	VAESDECLAST Z26, Z0, Z0
	VPXORQ      Z7, Z0, Z0
	VMOVDQU8    Z0, K1, (DI)(BX*1)
	JMP         cbcOpenTail

cbcOpenDone:
	VZEROUPPER
	RET

// func vaesInverse(dst, src *[16]byte)
//
// dst is the decryption round key of an encryption round key.
TEXT ·vaesInverse(SB), NOSPLIT, $0-16
	MOVQ    dst+0(FP), DI
	MOVQ    src+8(FP), SI
	VMOVDQU (SI), X0
	VAESIMC X0, X0
	VMOVDQU X0, (DI)
	RET

// func vaesSubWord(w uint32) uint32
//
// The last round of AES on a block of four equal columns, with a round key of
// zero, is the S-box on each byte: rows shift onto equal bytes.
TEXT ·vaesSubWord(SB), NOSPLIT, $0-12
	MOVL         w+0(FP), AX
	VMOVD        AX, X0
	VPSHUFD      $0, X0, X0
	VPXOR        X1, X1, X1
	VAESENCLAST  X1, X0, X0
	VMOVD        X0, AX
	MOVL         AX, ret+8(FP)
	RET
