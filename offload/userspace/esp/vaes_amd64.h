// What the files of AES assembly share: VAES on 512-bit registers, written for
// this package. Registers throughout:
//
//	Z0-Z3    counter blocks, key stream, ciphertext
//	Z4-Z6    the product being summed: low, middle, high
//	Z7-Z9    blocks to hash, powers, temporaries; also Z31
//	Z10      next four counter blocks, bytes reversed
//	Z11      shuffle that reverses the bytes of each block
//	Z12      1 and 0xc2<<56: the polynomial of GHASH, bits reflected
//	Z13      4 in the lowest 32 bits of each lane
//	X14      GHASH so far; the lanes above are zero
//	X15      the encrypted first counter block, for the tag
//	Z16-Z25  round keys 0 to 9
//	Z26      the last round key
//	Z27-Z30  round keys 10 to 13, as far as there are
//	AX key or rounds, SI source, DI destination, CX bytes left, R8 rounds

DATA reverse<>+0x00(SB)/8, $0x08090a0b0c0d0e0f
DATA reverse<>+0x08(SB)/8, $0x0001020304050607
GLOBL reverse<>(SB), RODATA|NOPTR, $16

DATA four<>+0x00(SB)/8, $4
DATA four<>+0x08(SB)/8, $0
GLOBL four<>(SB), RODATA|NOPTR, $16

// Offset in vaesRounds.
#define NR 240

#define CONSTANTS \
	VBROADCASTI32X4 reverse<>(SB), Z11; \
	VBROADCASTI32X4 four<>(SB), Z13

#define ROUNDKEYS(r) \
	VBROADCASTI32X4 (r+0*16)(AX), Z16; \
	VBROADCASTI32X4 (r+1*16)(AX), Z17; \
	VBROADCASTI32X4 (r+2*16)(AX), Z18; \
	VBROADCASTI32X4 (r+3*16)(AX), Z19; \
	VBROADCASTI32X4 (r+4*16)(AX), Z20; \
	VBROADCASTI32X4 (r+5*16)(AX), Z21; \
	VBROADCASTI32X4 (r+6*16)(AX), Z22; \
	VBROADCASTI32X4 (r+7*16)(AX), Z23; \
	VBROADCASTI32X4 (r+8*16)(AX), Z24; \
	VBROADCASTI32X4 (r+9*16)(AX), Z25; \
	VBROADCASTI32X4 (r+10*16)(AX), Z27; \
	VBROADCASTI32X4 (r+11*16)(AX), Z28; \
	VBROADCASTI32X4 (r+12*16)(AX), Z29; \
	VBROADCASTI32X4 (r+13*16)(AX), Z30; \
	MOVQ (r+NR)(AX), R8; \
	MOVQ R8, R9; \
	SHLQ $4, R9; \
	VBROADCASTI32X4 r(AX)(R9*1), Z26

#define ROUND4(k) \
	VAESENC k, Z0, Z0; \
	VAESENC k, Z1, Z1; \
	VAESENC k, Z2, Z2; \
	VAESENC k, Z3, Z3

// COUNTERS4 makes sixteen counter blocks, whitened by round key 0.
#define COUNTERS4 \
	VPSHUFB Z11, Z10, Z0; \
	VPADDD Z13, Z10, Z10; \
	VPSHUFB Z11, Z10, Z1; \
	VPADDD Z13, Z10, Z10; \
	VPSHUFB Z11, Z10, Z2; \
	VPADDD Z13, Z10, Z10; \
	VPSHUFB Z11, Z10, Z3; \
	VPADDD Z13, Z10, Z10; \
	VPXORQ Z16, Z0, Z0; \
	VPXORQ Z16, Z1, Z1; \
	VPXORQ Z16, Z2, Z2; \
	VPXORQ Z16, Z3, Z3

// AES4 and AES1 encrypt Z0-Z3 and Z0; they jump to the labels given.
#define AES4(last) \
	ROUND4(Z17); \
	ROUND4(Z18); \
	ROUND4(Z19); \
	ROUND4(Z20); \
	ROUND4(Z21); \
	ROUND4(Z22); \
	ROUND4(Z23); \
	ROUND4(Z24); \
	ROUND4(Z25); \
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
	VAESENCLAST Z26, Z3, Z3

#define AES1(last) \
	VPSHUFB Z11, Z10, Z0; \
	VPADDD Z13, Z10, Z10; \
	VPXORQ Z16, Z0, Z0; \
	VAESENC Z17, Z0, Z0; \
	VAESENC Z18, Z0, Z0; \
	VAESENC Z19, Z0, Z0; \
	VAESENC Z20, Z0, Z0; \
	VAESENC Z21, Z0, Z0; \
	VAESENC Z22, Z0, Z0; \
	VAESENC Z23, Z0, Z0; \
	VAESENC Z24, Z0, Z0; \
	VAESENC Z25, Z0, Z0; \
	CMPQ R8, $12; \
	JB last; \
	VAESENC Z27, Z0, Z0; \
	VAESENC Z28, Z0, Z0; \
	JE last; \
	VAESENC Z29, Z0, Z0; \
	VAESENC Z30, Z0, Z0; \
last: \
	VAESENCLAST Z26, Z0, Z0

// MASK sets K1 to the bytes that are left, at most 64.
#define MASK \
	MOVQ $-1, DX; \
	BZHIQ CX, DX, DX; \
	KMOVQ DX, K1

// SEALSTORE adds the key stream in Z0-Z3 to the text.
#define SEALSTORE \
	VPXORQ    0(SI), Z0, Z0; \
	VPXORQ    64(SI), Z1, Z1; \
	VPXORQ    128(SI), Z2, Z2; \
	VPXORQ    192(SI), Z3, Z3; \
	VMOVDQU64 Z0, 0(DI); \
	VMOVDQU64 Z1, 64(DI); \
	VMOVDQU64 Z2, 128(DI); \
	VMOVDQU64 Z3, 192(DI)
