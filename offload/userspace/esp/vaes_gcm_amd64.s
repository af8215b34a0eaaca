//go:build !purego

#include "textflag.h"
#include "vaes_amd64.h"

// AES-GCM with VAES and VPCLMULQDQ.
//
// GHASH multiplies bit-reflected operands, one of which (the power of H) was
// shifted left by one when the key was made; Montgomery-like reduction then
// takes two multiplications by 0xc2<<56 ("Intel Carry-Less Multiplication
// Instruction and its Usage for Computing the GCM Mode", Gueron and Kounavis).
// Sixteen blocks share a reduction; the processor overlaps the multiplications
// of one sixteen with the AES rounds of the next.

DATA poly<>+0x00(SB)/8, $0x0000000000000001
DATA poly<>+0x08(SB)/8, $0xc200000000000000
GLOBL poly<>(SB), RODATA|NOPTR, $16

DATA nextFour<>+0x00(SB)/8, $1
DATA nextFour<>+0x08(SB)/8, $0
DATA nextFour<>+0x10(SB)/8, $2
DATA nextFour<>+0x18(SB)/8, $0
DATA nextFour<>+0x20(SB)/8, $3
DATA nextFour<>+0x28(SB)/8, $0
DATA nextFour<>+0x30(SB)/8, $4
DATA nextFour<>+0x38(SB)/8, $0
GLOBL nextFour<>(SB), RODATA|NOPTR, $64

// Offsets in vaesKey, in which vaesRounds comes last.
#define POWERS 16 // of H^16
#define H1 256
#define ROUNDS 272

// MULADD adds the product of z and the powers at p. It destroys z.
#define MULADD(p, z) \
	VMOVDQU64 p, Z8; \
	VPCLMULQDQ $0x00, Z8, z, Z7; \
	VPCLMULQDQ $0x01, Z8, z, Z9; \
	VPCLMULQDQ $0x10, Z8, z, Z31; \
	VPCLMULQDQ $0x11, Z8, z, z; \
	VPXORQ Z7, Z4, Z4; \
	VPTERNLOGQ $0x96, Z9, Z31, Z5; \
	VPXORQ z, Z6, Z6

// REDUCE brings the sum back to 128 bits in each lane of Z6.
#define REDUCE \
	VPCLMULQDQ $0x01, Z4, Z12, Z7; \
	VPSHUFD $0x4e, Z4, Z4; \
	VPTERNLOGQ $0x96, Z7, Z4, Z5; \
	VPCLMULQDQ $0x01, Z5, Z12, Z7; \
	VPSHUFD $0x4e, Z5, Z5; \
	VPTERNLOGQ $0x96, Z7, Z5, Z6

// FOLD adds the lanes of Z6 into X14.
#define FOLD \
	VEXTRACTI64X4 $1, Z6, Y7; \
	VPXOR Y7, Y6, Y6; \
	VEXTRACTI128 $1, Y6, X7; \
	VPXOR X7, X6, X14

// The steps of AESHASH4: LOAD takes four blocks in and the powers at p,
// the others multiply them into the sum, FIRST without one before.
#define LOAD(block, p) \
	VMOVDQU64 block, Z7; \
	VMOVDQU64 p, Z8; \
	VPSHUFB Z11, Z7, Z7

#define FIRST1 \
	VPCLMULQDQ $0x00, Z8, Z7, Z4; \
	VPCLMULQDQ $0x01, Z8, Z7, Z5

#define FIRST2 \
	VPCLMULQDQ $0x10, Z8, Z7, Z9; \
	VPCLMULQDQ $0x11, Z8, Z7, Z6; \
	VPXORQ Z9, Z5, Z5

#define THEN1 \
	VPCLMULQDQ $0x00, Z8, Z7, Z9; \
	VPCLMULQDQ $0x01, Z8, Z7, Z31; \
	VPXORQ Z9, Z4, Z4

#define THEN2 \
	VPCLMULQDQ $0x10, Z8, Z7, Z9; \
	VPCLMULQDQ $0x11, Z8, Z7, Z7; \
	VPTERNLOGQ $0x96, Z9, Z31, Z5; \
	VPXORQ Z7, Z6, Z6

// AESHASH4 encrypts Z0-Z3 and hashes the sixteen blocks at a, b, c, d, step by
// step: both keep the processor as busy together as either alone, if they stand
// side by side. What was hashed before enters last, because it is known last.
#define AESHASH4(last, a, b, c, d) \
	LOAD(b, (POWERS+64)(AX)); \
	ROUND4(Z17); \
	FIRST1; \
	ROUND4(Z18); \
	FIRST2; \
	LOAD(c, (POWERS+128)(AX)); \
	ROUND4(Z19); \
	THEN1; \
	ROUND4(Z20); \
	THEN2; \
	LOAD(d, (POWERS+192)(AX)); \
	ROUND4(Z21); \
	THEN1; \
	ROUND4(Z22); \
	THEN2; \
	LOAD(a, (POWERS+0)(AX)); \
	VPXORQ Z14, Z7, Z7; \
	ROUND4(Z23); \
	THEN1; \
	ROUND4(Z24); \
	THEN2; \
	ROUND4(Z25); \
	REDUCE; \
	CMPQ R8, $12; \
	JB last; \
	ROUND4(Z27); \
	ROUND4(Z28); \
	JE last; \
	ROUND4(Z29); \
	ROUND4(Z30); \
last: \
	VAESENCLAST Z26, Z0, Z0; \
	VAESENCLAST Z26, Z1, Z1; \
	VAESENCLAST Z26, Z2, Z2; \
	VAESENCLAST Z26, Z3, Z3; \
	FOLD

// SEALHASH hashes the sixteen blocks before DI.
#define SEALHASH \
	LOAD(-192(DI), (POWERS+64)(AX)); \
	FIRST1; \
	FIRST2; \
	LOAD(-128(DI), (POWERS+128)(AX)); \
	THEN1; \
	THEN2; \
	LOAD(-64(DI), (POWERS+192)(AX)); \
	THEN1; \
	THEN2; \
	LOAD(-256(DI), (POWERS+0)(AX)); \
	VPXORQ Z14, Z7, Z7; \
	THEN1; \
	THEN2; \
	REDUCE; \
	FOLD

// GCMSTART takes the first counter block in X0 and the block of additional
// data in X1: it sets Z10, X15 and X14.
#define GCMSTART(last) \
	VBROADCASTI32X4 poly<>(SB), Z12; \
	VSHUFI64X2 $0, Z0, Z0, Z10; \
	VPXORQ X16, X0, X15; \
	VPSHUFB Z11, Z10, Z10; \
	VPADDD nextFour<>(SB), Z10, Z10; \
	VAESENC X17, X15, X15; \
	VAESENC X18, X15, X15; \
	VAESENC X19, X15, X15; \
	VAESENC X20, X15, X15; \
	VAESENC X21, X15, X15; \
	VAESENC X22, X15, X15; \
	VAESENC X23, X15, X15; \
	VAESENC X24, X15, X15; \
	VAESENC X25, X15, X15; \
	CMPQ R8, $12; \
	JB last; \
	VAESENC X27, X15, X15; \
	VAESENC X28, X15, X15; \
	JE last; \
	VAESENC X29, X15, X15; \
	VAESENC X30, X15, X15; \
last: \
	VAESENCLAST X26, X15, X15; \
	VPSHUFB X11, X1, X0; \
	VMOVDQU H1(AX), X8; \
	VPCLMULQDQ $0x00, X8, X0, X4; \
	VPCLMULQDQ $0x01, X8, X0, X5; \
	VPCLMULQDQ $0x10, X8, X0, X9; \
	VPCLMULQDQ $0x11, X8, X0, X6; \
	VPXOR X9, X5, X5; \
	VPCLMULQDQ $0x01, X4, X12, X7; \
	VPSHUFD $0x4e, X4, X4; \
	VPTERNLOGQ $0x96, X7, X4, X5; \
	VPCLMULQDQ $0x01, X5, X12, X7; \
	VPSHUFD $0x4e, X5, X5; \
	VPTERNLOGQ $0x96, X7, X5, X6; \
	VMOVDQA X6, X14

// GCMLAST starts the last sum, of the CX < 256 bytes left and the block of
// lengths (bits of text R10, of additional data R13), which is multiplied by
// H. BX becomes the place of the power for the first block left. With no bytes
// left GHASH so far joins the lengths.
#define GCMLAST(some) \
	VMOVQ R10, X0; \
	VPINSRQ $1, R13, X0, X0; \
	LEAQ 15(CX), BX; \
	ANDQ $-16, BX; \
	NEGQ BX; \
	LEAQ H1(AX)(BX*1), BX; \
	TESTQ CX, CX; \
	JNZ some; \
	VPXOR X14, X0, X0; \
some: \
	VMOVDQU H1(AX), X8; \
	VPCLMULQDQ $0x00, X8, X0, X4; \
	VPCLMULQDQ $0x01, X8, X0, X5; \
	VPCLMULQDQ $0x10, X8, X0, X9; \
	VPCLMULQDQ $0x11, X8, X0, X6; \
	VPXOR X9, X5, X5

// GCMTAG leaves the tag in X14.
#define GCMTAG \
	REDUCE; \
	FOLD; \
	VPSHUFB X11, X14, X14; \
	VPXOR X15, X14, X14

// func vaesSeal(k *vaesKey, dst, src *byte, n int, j0Lo, j0Hi, aadLo, aadHi uint64, aadBits int) (tagLo, tagHi uint64)
TEXT ·vaesSeal(SB), NOSPLIT, $0-88
	MOVQ k+0(FP), AX
	MOVQ dst+8(FP), DI
	MOVQ src+16(FP), SI
	MOVQ n+24(FP), CX
	VMOVQ j0Lo+32(FP), X0
	VPINSRQ $1, j0Hi+40(FP), X0, X0
	VMOVQ aadLo+48(FP), X1
	VPINSRQ $1, aadHi+56(FP), X1, X1
	MOVQ aadBits+64(FP), R13
	LEAQ (CX*8), R10
	CONSTANTS
	ROUNDKEYS(ROUNDS)
	GCMSTART(sealStart)
	CMPQ CX, $256
	JB   sealTail
	COUNTERS4
	AES4(sealFirstLast)
	SEALSTORE

	// From here on each sixteen is hashed while the next is encrypted.
sealLoop:
	ADDQ $256, SI
	ADDQ $256, DI
	SUBQ $256, CX
	CMPQ CX, $256
	JB   sealHash
	COUNTERS4
	AESHASH4(sealLoopLast, -256(DI), -192(DI), -128(DI), -64(DI))
	SEALSTORE
	JMP  sealLoop

sealHash:
	SEALHASH

sealTail:
	GCMLAST(sealSome)
	TESTQ CX, CX
	JZ    sealTag

sealTailLoop:
	MASK
	AES1(sealTailLast)
	VMOVDQU8.Z (SI), K1, Z7
	VPXORQ     Z7, Z0, Z0
	VMOVDQU8.Z Z0, K1, Z0
	VMOVDQU8   Z0, K1, (DI)
	VPSHUFB    Z11, Z0, Z0
	VPXORQ     Z14, Z0, Z0
	VPXORQ     Z14, Z14, Z14
	MULADD((BX), Z0)
	ADDQ       $64, SI
	ADDQ       $64, DI
	ADDQ       $64, BX
	SUBQ       $64, CX
	JA         sealTailLoop

sealTag:
	GCMTAG
	VMOVQ X14, tagLo+72(FP)
	VPEXTRQ $1, X14, tagHi+80(FP)
	VZEROUPPER
	RET

// func vaesOpen(k *vaesKey, dst, src *byte, n int, j0Lo, j0Hi, aadLo, aadHi uint64, aadBits int) (tagLo, tagHi uint64)
TEXT ·vaesOpen(SB), NOSPLIT, $0-88
	MOVQ k+0(FP), AX
	MOVQ dst+8(FP), DI
	MOVQ src+16(FP), SI
	MOVQ n+24(FP), CX
	VMOVQ j0Lo+32(FP), X0
	VPINSRQ $1, j0Hi+40(FP), X0, X0
	VMOVQ aadLo+48(FP), X1
	VPINSRQ $1, aadHi+56(FP), X1, X1
	MOVQ aadBits+64(FP), R13
	LEAQ (CX*8), R10
	CONSTANTS
	ROUNDKEYS(ROUNDS)
	GCMSTART(openStart)
	CMPQ CX, $256
	JB   openTail

openLoop:
	COUNTERS4
	AESHASH4(openLoopLast, 0(SI), 64(SI), 128(SI), 192(SI))
	SEALSTORE
	ADDQ $256, SI
	ADDQ $256, DI
	SUBQ $256, CX
	CMPQ CX, $256
	JAE  openLoop

openTail:
	GCMLAST(openSome)
	TESTQ CX, CX
	JZ    openTag

openTailLoop:
	MASK
	AES1(openTailLast)
	VMOVDQU8.Z (SI), K1, Z7
	VPXORQ     Z7, Z0, Z0
	VMOVDQU8   Z0, K1, (DI)
	VPSHUFB    Z11, Z7, Z0
	VPXORQ     Z14, Z0, Z0
	VPXORQ     Z14, Z14, Z14
	MULADD((BX), Z0)
	ADDQ       $64, SI
	ADDQ       $64, DI
	ADDQ       $64, BX
	SUBQ       $64, CX
	JA         openTailLoop

openTag:
	GCMTAG
	VMOVQ X14, tagLo+72(FP)
	VPEXTRQ $1, X14, tagHi+80(FP)
	VZEROUPPER
	RET

// func vaesMul(dst, a, b *[16]byte)
//
// dst = a * b, both bytes reversed, b shifted left by one.
TEXT ·vaesMul(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), BX
	VBROADCASTI32X4 poly<>(SB), Z12
	VMOVDQU         (SI), X0
	VMOVDQU         (BX), X8
	VPCLMULQDQ      $0x00, X8, X0, X4
	VPCLMULQDQ      $0x01, X8, X0, X5
	VPCLMULQDQ      $0x10, X8, X0, X9
	VPCLMULQDQ      $0x11, X8, X0, X6
	VPXOR           X9, X5, X5
	REDUCE
	VMOVDQU         X6, (DI)
	VZEROUPPER
	RET
