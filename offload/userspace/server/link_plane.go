package server

// LinkSpec is an XFRM interface that shall be made.
type LinkSpec struct {
	Name     string // 1 to 15 bytes
	IfID     uint32 // 0 only of an external one
	External bool   // the interface of the SAs and policies without if_id
	Link     uint32 // ifindex of the device below, 0 none
}

// Device is an interface of the engine: a TUN device in some network namespace.
// It is safe for concurrent use.
type Device interface {
	// Name returns its present name. An error means that it is gone.
	Name() (string, error)
	// NetNS opens the network namespace that it is in; the caller closes the
	// descriptor.
	NetNS() (fd int, err error)
	// SetIfID makes it the interface of another if_id, at once.
	SetIfID(ifID uint32) error
	// Delete removes it, also when it is gone already.
	Delete() error
}

// Plane makes interfaces, in the engine's network namespace. They are down and
// have an MTU of 1500 bytes. A name that is taken answers fs.ErrExist.
type Plane interface {
	Create(s LinkSpec) (Device, error)
}
