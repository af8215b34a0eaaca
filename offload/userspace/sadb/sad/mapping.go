package sad

import (
	"net/netip"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/notice"
)

// natState is what was last told of the peer's address. Guarded by the SA's mu.
type natState struct {
	told     time.Time
	toldPort uint16
}

// NoteSource looks at where a verified packet in UDP came from and tells the
// key manager when it is not where the SA has it (XFRM_MSG_MAPPING). With
// MTIMER_THRESH it tells at most that often, or when the port is a new one.
// The SA goes on as it is. Safe for packet threads.
func (sa *SA) NoteSource(src netip.AddrPort) {
	c := sa.conf.Load()
	if c.Encap == nil || src.Addr().Unmap() == c.Src && src.Port() == c.Encap.SrcPort || !sa.table.bus.Hears(netlinkx.GroupMapping) {
		return
	}
	if !sa.mayTell(src.Port(), time.Duration(c.MTimerThresh)*time.Second) {
		return
	}
	sa.table.bus.Emit(notice.Cause{}, &netlinkx.MappingEvent{Mapping: netlinkx.Mapping{
		SA: c.ID(), ReqID: c.ReqID, OldSrc: c.Src, NewSrc: src.Addr().Unmap(), OldPort: c.Encap.SrcPort, NewPort: src.Port(),
	}})
}

// mayTell is the rate limit of km_new_mapping.
func (sa *SA) mayTell(port uint16, thresh time.Duration) bool {
	if thresh == 0 {
		return true
	}
	sa.mu.Lock()
	defer sa.mu.Unlock()
	if time.Since(sa.nat.told) <= thresh && sa.nat.toldPort == port {
		return false
	}
	sa.nat = natState{told: time.Now(), toldPort: port}
	return true
}
