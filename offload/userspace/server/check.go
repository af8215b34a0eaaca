package server

import (
	"syscall"

	nl "github.com/xfrmctl/xfrmctl/netlinkx"
)

// Offsets in struct xfrm_selector, xfrm_usersa_info, xfrm_userpolicy_info,
// xfrm_user_migrate_state.
const (
	selFamily   = 40
	selDstLen   = 42
	selSrcLen   = 43
	saFamily    = 212
	polAction   = 161
	polShare    = 163
	msNewSel    = 64
	msSPI       = 16
	msFlags     = 124
	msNewFamily = 128
	acqSel      = 40
	acqPolicy   = 96
	polIndex    = 156
	polIDIndex  = 56
)

// Texts of net/xfrm/xfrm_user.c.
const (
	textPrefix4        = "Invalid prefix length in selector (must be <= 32 for IPv4)"
	textPrefix6        = "Invalid prefix length in selector (must be <= 128 for IPv6)"
	textFamily         = "Invalid address family"
	textPolicyShare    = "Invalid policy share"
	textPolicyAction   = "Invalid policy action"
	maxShare           = 3
	maxPolicyAction    = uint8(nl.ActionBlock)
	migrateFlags       = uint32(nl.MigrateClearOffload | nl.MigrateUpdateH2HSel)
	updateHostSelector = uint32(nl.MigrateUpdateH2HSel)
)

// checkRaw refuses what the codec has no values for: prefixes that are longer
// than addresses. Only messages whose selector the kernel checks are looked at,
// and what it checks before that.
func checkRaw(r *request) *nl.Ack {
	p := r.payload()
	switch r.typ {
	case nl.MsgNewSA, nl.MsgUpdSA:
		if f := nl.Family(host.Uint16(p[saFamily:])); f.Bits() == 0 {
			return invalid(textFamily)
		}
		return checkPrefixes(p)
	case nl.MsgNewPolicy, nl.MsgUpdPolicy:
		return checkPolicyPrefixes(p)
	case nl.MsgAcquire:
		return checkPolicyPrefixes(p[acqPolicy:])
	case nl.MsgDelPolicy, nl.MsgGetPolicy, nl.MsgPolExpire:
		if checkPrefixes(p) != nil && host.Uint32(p[r.indexAt():]) == 0 {
			return refuse(syscall.ENOENT, "") // no policy has such a selector
		}
	case nl.MsgMigrateState:
		return checkMigrateSelector(p)
	}
	return nil
}

// indexAt returns where a message that names a policy has its index.
func (r *request) indexAt() int {
	if r.typ == nl.MsgPolExpire {
		return polIndex
	}
	return polIDIndex
}

// checkPolicyPrefixes looks at a struct xfrm_userpolicy_info.
func checkPolicyPrefixes(p []byte) *nl.Ack {
	switch {
	case p[polShare] > maxShare:
		return invalid(textPolicyShare)
	case p[polAction] > maxPolicyAction:
		return invalid(textPolicyAction)
	}
	return checkPrefixes(p)
}

// checkPrefixes looks at the selector at the start of p.
func checkPrefixes(p []byte) *nl.Ack {
	n := max(p[selDstLen], p[selSrcLen])
	switch nl.Family(host.Uint16(p[selFamily:])) {
	case nl.FamilyIPv4:
		if n > 32 {
			return invalid(textPrefix4)
		}
	case nl.FamilyIPv6:
		if n > 128 {
			return invalid(textPrefix6)
		}
	}
	return nil
}

// checkMigrateSelector leaves everything to the database that is wrong before
// the selector.
func checkMigrateSelector(p []byte) *nl.Ack {
	flags := host.Uint32(p[msFlags:])
	wrong := host.Uint32(p[msSPI:]) == 0 || host.Uint16(p[msNewFamily+2:]) != 0 || flags&^migrateFlags != 0 ||
		nl.Family(host.Uint16(p[msNewFamily:])).Bits() == 0
	if wrong || flags&updateHostSelector != 0 {
		return nil
	}
	return checkPrefixes(p[msNewSel:])
}

// clampPrefixes makes prefixes fit that nobody checks, so that the codec can
// read the rest. It changes p.
func clampPrefixes(p []byte) {
	n := uint8(nl.Family(host.Uint16(p[selFamily:])).Bits())
	p[selDstLen], p[selSrcLen] = min(p[selDstLen], n), min(p[selSrcLen], n)
}

// clampUnread clamps the selectors of a message that the kernel does not read.
// p is its payload, and is changed.
func clampUnread(t nl.MsgType, p []byte) {
	switch t {
	case nl.MsgAllocSPI, nl.MsgExpire, nl.MsgPolExpire, nl.MsgDelPolicy, nl.MsgGetPolicy, nl.MsgMigrate:
		clampPrefixes(p)
	case nl.MsgAcquire:
		clampPrefixes(p[acqSel:])
	case nl.MsgMigrateState:
		clampPrefixes(p[msNewSel:])
	}
}
