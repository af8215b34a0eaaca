package netlinkx

// Sizes in bytes of the fixed structures of linux/xfrm.h, as the kernel lays
// them out on 64-bit machines, padding at the end included. They are for those
// who read or answer messages themselves. SizeAlgo and SizeAlgoTrunc are
// without the key that follows, SizeReplayESN without the bitmap, SizeSecCtx
// without the label.
const (
	SizeAddr         = 16
	SizeSelector     = 56
	SizeSAInfo       = 224
	SizeSAID         = 24
	SizeSPIInfo      = 232
	SizePolicyInfo   = 168
	SizePolicyID     = 64
	SizeTmpl         = 64
	SizeAlgo         = 68
	SizeAlgoTrunc    = 72 // also xfrm_algo_aead
	SizeEncap        = 24
	SizeSecCtx       = 8
	SizeUsage        = 32
	SizeReplay       = 12
	SizeReplayESN    = 24
	SizeOffload      = 8
	SizeAddrFilter   = 36
	SizePolicyType   = 6
	SizeAE           = 48
	SizeAcquire      = 280
	SizeExpire       = 232
	SizePolExpire    = 176
	SizeReport       = 60
	SizeMapping      = 64
	SizeMigrate      = 76
	SizeKMAddress    = 40
	SizeMigrateState = 132
	SizeDefaults     = 3
)
