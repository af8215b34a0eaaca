package server

import (
	"fmt"
	"os"
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Numbers of linux/rtnetlink.h, linux/if_link.h and linux/if.h.
const (
	rtmNewLink = 16
	rtmDelLink = 17
	rtmGetLink = 18
	rtmNewNSID = 88
	rtmGetNSID = 90

	iflaIfname    = 3
	iflaMTU       = 4
	iflaLink      = 5
	iflaLinkinfo  = 18
	iflaNetNSPID  = 19
	iflaNetNSFD   = 28
	iflaExtMask   = 29
	iflaLinkNetNS = 37
	iflaTargetNS  = 46
	iflaAltIfname = 53

	iflaInfoKind = 1
	iflaInfoData = 2

	xfrmLink     = 1 // IFLA_XFRM_LINK
	xfrmIfID     = 2 // IFLA_XFRM_IF_ID
	xfrmMetadata = 3 // IFLA_XFRM_COLLECT_METADATA

	sizeIfInfo = 16
	ifiIndex   = 4
	ifiFlags   = 8
	ifiChange  = 12

	iffPointToPoint = 0x10
	iffMulticast    = 0x1000
)

const (
	kindXFRM = "xfrm"
	kindTUN  = "tun"
	minMTU   = 68
	maxMTU   = 65535
	maxName  = 15 // IFNAMSIZ without its NUL
)

// view is what a client sees: the links of its network namespace.
type view struct {
	kernel kernelLinks
	ns     netns
}

// linkRequest is a link message that has been parsed as far as it concerns
// XFRM interfaces; the kernel looks at the rest.
type linkRequest struct {
	*message
	index int32
	attrs attrs
	name  string
	info  bool   // it has link info
	kind  string // "" none
	data  *attrs // of the kind; nil none
}

// infoPolicy is xfrmi_policy.
func infoPolicy() *policy {
	return &policy{
		forms:  []form{{}, {kind: number, length: 4}, {kind: number, length: 4}, {kind: flag}},
		strict: xfrmMetadata,
	}
}

// linkPolicy is ifla_policy in so far as the attributes are read here.
func linkPolicy() *policy {
	f := make([]form, iflaAltIfname+1)
	for _, t := range []int{iflaMTU, iflaNetNSPID, iflaNetNSFD, iflaLinkNetNS, iflaTargetNS} {
		f[t] = form{kind: number, length: 4}
	}
	f[iflaIfname] = form{length: 1}
	return &policy{forms: f}
}

// parseLink reads a link message.
func parseLink(m *message) (*linkRequest, *netlinkx.Ack) {
	p := m.payload()
	if len(p) < sizeIfInfo {
		return nil, invalid(textHeader)
	}
	r := &linkRequest{message: m, index: int32(host.Uint32(p[ifiIndex:]))}
	var refused *netlinkx.Ack
	if r.attrs, refused = linkPolicy().parse(p[sizeIfInfo:], sizeHeader+sizeIfInfo); refused != nil {
		return nil, refused
	}
	if d := r.attrs.data[iflaIfname]; d != nil {
		if r.name = cstring(d); len(r.name) > maxName {
			return nil, &netlinkx.Ack{Errno: syscall.ERANGE, Text: textPolicy, Offset: r.attrs.offset[iflaIfname]}
		}
	}
	if r.attrs.has(iflaLinkinfo) {
		return r, r.parseInfo()
	}
	return r, nil
}

// parseInfo reads IFLA_LINKINFO.
func (r *linkRequest) parseInfo() *netlinkx.Ack {
	r.info = true
	base := r.attrs.offset[iflaLinkinfo] + sizeAttr
	for x := (attrWalk{b: r.attrs.data[iflaLinkinfo]}); x.next(); {
		switch x.typ {
		case iflaInfoKind:
			r.kind = cstring(x.data)
		case iflaInfoData:
			if r.kind != kindXFRM {
				r.data = &attrs{}
				continue
			}
			data, refused := infoPolicy().parse(x.data, base+x.at+sizeAttr)
			if refused != nil {
				return refused
			}
			r.data = &data
		}
	}
	return nil
}

// spec is what the link info asks for (xfrmi_netlink_parms).
func (r *linkRequest) spec() (s LinkSpec) {
	if r.data == nil {
		return s
	}
	if d := r.data.data[xfrmLink]; d != nil {
		s.Link = host.Uint32(d)
	}
	if d := r.data.data[xfrmIfID]; d != nil {
		s.IfID = host.Uint32(d)
	}
	s.External = r.data.has(xfrmMetadata)
	return s
}

// movesNamespace reports whether the message names a namespace.
func (r *linkRequest) movesNamespace() bool {
	return r.attrs.has(iflaNetNSFD) || r.attrs.has(iflaNetNSPID) || r.attrs.has(iflaTargetNS)
}

// rest is the message without what the engine takes care of, for the kernel:
// link info is blotted out, which leaves offsets as they are, and namespaces
// are those that came with the message.
func (r *linkRequest) rest(files []*os.File) ([]byte, error) {
	b := append([]byte(nil), r.raw...)
	host.PutUint16(b[4:], rtmNewLink)
	host.PutUint16(b[6:], flagRequest|flagAck)
	at := sizeHeader + sizeIfInfo
	for x := (attrWalk{b: b[at:]}); x.next(); {
		t := b[at+x.at+2:]
		switch x.typ {
		case iflaLinkinfo:
			host.PutUint16(t, 0)
		case iflaNetNSFD, iflaNetNSPID:
			if len(files) == 0 || len(x.data) != 4 {
				return nil, fmt.Errorf("a namespace is missing that the message names")
			}
			host.PutUint16(t, iflaNetNSFD)
			host.PutUint32(x.data, uint32(files[0].Fd()))
			files = files[1:]
		}
	}
	return b, nil
}

// creationRest is what is left to do for a new device, whose index is now
// known; nil nothing.
func (r *linkRequest) creationRest(index int32) []byte {
	p := r.payload()
	b := make([]byte, sizeHeader, len(r.raw))
	host.PutUint16(b[4:], rtmNewLink)
	host.PutUint16(b[6:], flagRequest|flagAck)
	b = append(b, p[:sizeIfInfo]...)
	host.PutUint32(b[sizeHeader+ifiIndex:], uint32(index))
	for x := (attrWalk{b: p[sizeIfInfo:]}); x.next(); {
		switch x.typ {
		case iflaIfname, iflaLinkinfo, iflaLinkNetNS, iflaLink:
		default:
			b = appendAttr(b, host.Uint16(x.b[x.at+2:]), x.data)
		}
	}
	if len(b) == sizeHeader+sizeIfInfo && host.Uint32(p[ifiFlags:]) == 0 && host.Uint32(p[ifiChange:]) == 0 {
		return nil
	}
	host.PutUint32(b, uint32(len(b)))
	return b
}
