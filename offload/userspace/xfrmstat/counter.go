// Package xfrmstat has the names of the kernel's counters of
// /proc/net/xfrm_stat: the reasons why IPsec drops a packet. It counts nothing.
package xfrmstat

// Counter is the reason why a packet is dropped. The zero Counter: it is not.
type Counter uint8

// Counters in the order of the kernel (include/uapi/linux/snmp.h).
const (
	None Counter = iota // not dropped
	InError
	InBufferError
	InHdrError
	InNoStates
	InStateProtoError
	InStateModeError
	InStateSeqError
	InStateExpired
	InStateMismatch
	InStateInvalid
	InTmplMismatch
	InNoPols
	InPolBlock
	InPolError
	OutError
	OutBundleGenError
	OutBundleCheckError
	OutNoStates
	OutStateProtoError
	OutStateModeError
	OutStateSeqError
	OutStateExpired
	OutPolBlock
	OutPolDead
	OutPolError
	FwdHdrError
	OutStateInvalid
	AcquireError
	OutStateDirError
	InStateDirError
	InIptfsError
	OutNoQueueSpace
	NumCounters
)

var counterNames = [NumCounters]string{"", "XfrmInError", "XfrmInBufferError", "XfrmInHdrError", "XfrmInNoStates",
	"XfrmInStateProtoError", "XfrmInStateModeError", "XfrmInStateSeqError", "XfrmInStateExpired", "XfrmInStateMismatch",
	"XfrmInStateInvalid", "XfrmInTmplMismatch", "XfrmInNoPols", "XfrmInPolBlock", "XfrmInPolError", "XfrmOutError",
	"XfrmOutBundleGenError", "XfrmOutBundleCheckError", "XfrmOutNoStates", "XfrmOutStateProtoError", "XfrmOutStateModeError",
	"XfrmOutStateSeqError", "XfrmOutStateExpired", "XfrmOutPolBlock", "XfrmOutPolDead", "XfrmOutPolError", "XfrmFwdHdrError",
	"XfrmOutStateInvalid", "XfrmAcquireError", "XfrmOutStateDirError", "XfrmInStateDirError", "XfrmInIptfsError", "XfrmOutNoQueueSpace"}

// String returns the kernel's name, or "" for None.
func (c Counter) String() string {
	if c >= NumCounters {
		return ""
	}
	return counterNames[c]
}
