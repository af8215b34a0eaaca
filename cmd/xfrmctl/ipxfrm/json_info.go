package ipxfrm

import "github.com/xfrmctl/xfrmctl/netlinkx"

type jsonSADInfo struct {
	Count      uint32 `json:"count"`
	Buckets    uint32 `json:"buckets"`
	MaxBuckets uint32 `json:"max_buckets"`
}

// JSONSADInfo returns the counters of the SA database for encoding/json.
func (p *Printer) JSONSADInfo(i *netlinkx.SADInfo) any {
	return jsonSADInfo{i.Count, i.HashCount, i.HashMaximum}
}

type jsonThreshold struct {
	Local  uint8 `json:"local"`
	Remote uint8 `json:"remote"`
}

type jsonSPDInfo struct {
	In         uint32                 `json:"in"`
	Out        uint32                 `json:"out"`
	Fwd        uint32                 `json:"fwd"`
	SocketIn   uint32                 `json:"socket_in"`
	SocketOut  uint32                 `json:"socket_out"`
	SocketFwd  uint32                 `json:"socket_fwd"`
	Buckets    uint32                 `json:"buckets"`
	MaxBuckets uint32                 `json:"max_buckets"`
	HThresh4   jsonOpt[jsonThreshold] `json:"hthresh4,omitzero"`
	HThresh6   jsonOpt[jsonThreshold] `json:"hthresh6,omitzero"`
}

// JSONSPDInfo returns the counters of the policy database for encoding/json.
func (p *Printer) JSONSPDInfo(i *netlinkx.SPDInfo) any {
	c := &i.Counts
	threshold := func(h netlinkx.Opt[netlinkx.HashThreshold]) jsonOpt[jsonThreshold] {
		return jsonOpt[jsonThreshold]{V: jsonThreshold(h.V), Valid: h.Valid}
	}
	return jsonSPDInfo{
		c.In, c.Out, c.Fwd, c.SocketIn, c.SocketOut, c.SocketFwd, i.HashCount, i.HashMaximum, threshold(i.IPv4), threshold(i.IPv6),
	}
}

type jsonDefaults struct {
	In  string `json:"in"`
	Fwd string `json:"fwd"`
	Out string `json:"out"`
}

// JSONDefaults returns the default actions for encoding/json.
func (p *Printer) JSONDefaults(d *netlinkx.Defaults) any {
	return jsonDefaults{jsonDefault(d.In), jsonDefault(d.Fwd), jsonDefault(d.Out)}
}

// jsonDefault does not call all unknown actions the same, as ip does.
func jsonDefault(a netlinkx.DefaultAction) string {
	if s := textDefault(a); s != "unknown" {
		return s
	}
	return shownNumber(uint8(a))
}
