package netlinkx

import "fmt"

func msgName(t MsgType) string {
	if i := int(t) - int(MsgNewSA); i >= 0 && i < len(msgNames) {
		return msgNames[i]
	}
	return fmt.Sprintf("message %#x", uint16(t))
}

// String returns the kernel's name without its prefix: "SA_DIR".
func (t AttrType) String() string {
	if t > 0 && int(t) < len(attrNames) {
		return attrNames[t]
	}
	return fmt.Sprintf("attribute %d", uint16(t))
}
