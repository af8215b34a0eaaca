#include "textflag.h"

// Both widen the 16-bit words to 32 bits by interleaving them with zeros, and
// add those: additions without carry, in four accumulators.

// func wordsAVX512(b []byte) uint64
TEXT ·wordsAVX512(SB), NOSPLIT, $0-32
	MOVQ   b_base+0(FP), SI
	MOVQ   b_len+8(FP), CX
	VPXORQ Z0, Z0, Z0
	VPXORQ Z1, Z1, Z1
	VPXORQ Z2, Z2, Z2
	VPXORQ Z3, Z3, Z3
	VPXORQ Z4, Z4, Z4

	SUBQ $128, CX
	JB   tail512

loop512:
	VMOVDQU64  (SI), Z5
	VMOVDQU64  64(SI), Z6
	VPUNPCKLWD Z0, Z5, Z7
	VPUNPCKHWD Z0, Z5, Z8
	VPUNPCKLWD Z0, Z6, Z9
	VPUNPCKHWD Z0, Z6, Z10
	VPADDD     Z7, Z1, Z1
	VPADDD     Z8, Z2, Z2
	VPADDD     Z9, Z3, Z3
	VPADDD     Z10, Z4, Z4
	ADDQ       $128, SI
	SUBQ       $128, CX
	JAE        loop512

tail512:
	ADDQ $64, CX // bytes left less 64
	JNC  last512
	VMOVDQU64  (SI), Z5
	VPUNPCKLWD Z0, Z5, Z7
	VPUNPCKHWD Z0, Z5, Z8
	VPADDD     Z7, Z1, Z1
	VPADDD     Z8, Z2, Z2
	ADDQ       $64, SI
	SUBQ       $64, CX

last512:
	ADDQ      $64, CX // 0 to 63 bytes left: a masked load reads no others
	JZ        done512
	MOVQ      $-1, AX
	BZHIQ     CX, AX, AX
	KMOVQ     AX, K1
	VMOVDQU8.Z (SI), K1, Z6
	VPUNPCKLWD Z0, Z6, Z9
	VPUNPCKHWD Z0, Z6, Z10
	VPADDD     Z9, Z3, Z3
	VPADDD     Z10, Z4, Z4

done512:
	VPADDD        Z2, Z1, Z1
	VPADDD        Z4, Z3, Z3
	VPADDD        Z3, Z1, Z1
	VEXTRACTI64X4 $1, Z1, Y2
	VPMOVZXDQ     Y1, Z3
	VPMOVZXDQ     Y2, Z4
	VPADDQ        Z4, Z3, Z3
	VEXTRACTI64X4 $1, Z3, Y4
	VPADDQ        Y4, Y3, Y3
	VEXTRACTI128  $1, Y3, X4
	VPADDQ        X4, X3, X3
	VPSRLDQ       $8, X3, X4
	VPADDQ        X4, X3, X3
	VMOVQ         X3, AX
	MOVQ          AX, ret+24(FP)
	VZEROUPPER
	RET

// func wordsAVX2(b []byte) uint64
TEXT ·wordsAVX2(SB), NOSPLIT, $0-32
	MOVQ  b_base+0(FP), SI
	MOVQ  b_len+8(FP), CX
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3
	VPXOR Y4, Y4, Y4

	SUBQ $64, CX
	JB   tail256

loop256:
	VMOVDQU    (SI), Y5
	VMOVDQU    32(SI), Y6
	VPUNPCKLWD Y0, Y5, Y7
	VPUNPCKHWD Y0, Y5, Y8
	VPUNPCKLWD Y0, Y6, Y9
	VPUNPCKHWD Y0, Y6, Y10
	VPADDD     Y7, Y1, Y1
	VPADDD     Y8, Y2, Y2
	VPADDD     Y9, Y3, Y3
	VPADDD     Y10, Y4, Y4
	ADDQ       $64, SI
	SUBQ       $64, CX
	JAE        loop256

tail256:
	ADDQ $64, CX // 0 or 32
	JZ   done256
	VMOVDQU    (SI), Y5
	VPUNPCKLWD Y0, Y5, Y7
	VPUNPCKHWD Y0, Y5, Y8
	VPADDD     Y7, Y1, Y1
	VPADDD     Y8, Y2, Y2

done256:
	VPADDD       Y2, Y1, Y1
	VPADDD       Y4, Y3, Y3
	VPADDD       Y3, Y1, Y1
	VEXTRACTI128 $1, Y1, X2
	VPMOVZXDQ    X1, Y3
	VPMOVZXDQ    X2, Y4
	VPADDQ       Y4, Y3, Y3
	VEXTRACTI128 $1, Y3, X4
	VPADDQ       X4, X3, X3
	VPSRLDQ      $8, X3, X4
	VPADDQ       X4, X3, X3
	VMOVQ        X3, AX
	MOVQ         AX, ret+24(FP)
	VZEROUPPER
	RET
