package gsogro

// Feature is one bit of a device's features (ETH_SS_FEATURES), as
// `ethtool -k` shows it.
type Feature struct {
	Name   string // ethtool's name: "rx-gro"
	Active bool   // in force
	Wanted bool   // asked for; differs from Active where something forbids it
	Fixed  bool   // nobody can change it on this device
}

// String is the feature's state in ethtool's words: "on", "off [fixed]".
func (f Feature) String() string {
	s := onOff(f.Active)
	switch {
	case f.Fixed:
		s += " [fixed]"
	case f.Wanted != f.Active:
		s += " [requested " + onOff(f.Wanted) + "]"
	}
	return s
}

// Names of the features that this package reasons about. Kernels know more,
// some lack a few: see net/ethtool/common.c.
const (
	RxGRO              = "rx-gro"
	RxGROHW            = "rx-gro-hw"
	RxGROList          = "rx-gro-list"
	RxUDPGROForwarding = "rx-udp-gro-forwarding"
	RxLRO              = "rx-lro"
	RxChecksum         = "rx-checksum"
	RxFCS              = "rx-fcs"
	TxScatterGather    = "tx-scatter-gather"
	TxChecksumGeneric  = "tx-checksum-ip-generic"
	TxChecksumIPv4     = "tx-checksum-ipv4"
	TxChecksumIPv6     = "tx-checksum-ipv6"
	TxGSO              = "tx-generic-segmentation"
	TxGSOList          = "tx-gso-list"
	TxGSOPartial       = "tx-gso-partial"
	TxTSO              = "tx-tcp-segmentation"
	TxTSO6             = "tx-tcp6-segmentation"
	TxTSOECN           = "tx-tcp-ecn-segmentation"
	TxTSOMangleID      = "tx-tcp-mangleid-segmentation"
	TxUSO              = "tx-udp-segmentation"
	TxESP              = "tx-esp-segmentation"
	ESPHW              = "esp-hw-offload"
	ESPTxChecksum      = "esp-tx-csum-hw-offload"
)

// Relevant describes a feature that matters to ESP.
type Relevant struct {
	Name string
	// Role says in a line what it does for IPsec.
	Role string
	// Fast is what the fast path wants; nil when it depends on the traffic.
	Fast *bool
}

// RelevantFeatures lists the features that matter to ESP, in the order in
// which packets meet them. The result is the caller's.
func RelevantFeatures() []Relevant {
	on, off := new(true), new(false)
	return []Relevant{
		{RxGRO, "joins received packets; ESP is decrypted before it goes up the stack when esp4_offload or esp6_offload is loaded", on},
		{RxGROHW, "the device joins packets; not ESP", nil},
		{RxLRO, "the device joins packets beyond repair; must be off where packets are forwarded", off},
		{RxGROList, "joins packets to a list; for UDP that is forwarded", nil},
		{RxUDPGROForwarding, "joins UDP that is forwarded", nil},
		{RxChecksum, "the device verifies checksums; rx-gro-hw needs it", on},
		{TxScatterGather, "packets in pieces; every segmentation needs it", on},
		{TxChecksumGeneric, "the device writes checksums; segmentation of TCP and UDP needs it", on},
		{TxChecksumIPv4, "the same, for IPv4 alone", nil},
		{TxChecksumIPv6, "the same, for IPv6 alone", nil},
		{TxGSO, "packets stay large until the device: one lookup and one ESP call for many segments", on},
		{TxTSO, "large TCP packets from IPv4 sockets", on},
		{TxTSO6, "large TCP packets from IPv6 sockets", on},
		{TxTSOECN, "the same with congestion notification", on},
		{TxTSOMangleID, "the same where identification numbers may be rewritten", nil},
		{TxUSO, "large UDP packets (UDP_SEGMENT)", on},
		{TxGSOPartial, "segmentation of what the device knows in part; mlx5 needs it for tx-esp-segmentation", nil},
		{TxGSOList, "segmentation of lists", nil},
		{ESPHW, "the device encrypts and decrypts ESP", on},
		{ESPTxChecksum, "the device writes the checksums inside of ESP", on},
		{TxESP, "the device cuts large ESP packets", on},
	}
}

// FeatureSet is a device's features by name.
type FeatureSet map[string]Feature
