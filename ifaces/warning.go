package ifaces

// WarningKind says what a Warning is about.
type WarningKind string

// Kinds of warnings.
const (
	// WarnKernel carries text that the kernel sent along with success.
	WarnKernel WarningKind = "kernel"
	// WarnNoUnderlay: no device has the ifindex given as underlay.
	WarnNoUnderlay WarningKind = "no-underlay"
	// WarnExternal: an external interface that is up takes the packets of all
	// SAs of its namespace, and IPv4 transport-mode SAs then receive nothing.
	WarnExternal WarningKind = "external"
	// WarnMTU: the MTU is the kernel's 1500 and not one that fits the tunnel.
	WarnMTU WarningKind = "mtu"
	// WarnLost: something of an interface did not survive a move.
	WarnLost WarningKind = "lost"
)

// Warning is something worth knowing about a request that was carried out.
type Warning struct {
	Kind   WarningKind
	Object string // name of the interface
	Text   string // one line
}

// String returns one line: "ipsec0: TEXT".
func (w *Warning) String() string { return w.Object + ": " + w.Text }

func (c *Conn) warn(kind WarningKind, object, text string) {
	if c.cfg.OnWarning != nil {
		c.cfg.OnWarning(&Warning{Kind: kind, Object: object, Text: text})
	}
}
