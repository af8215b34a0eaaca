package userspace

import (
	"net/netip"

	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb"
	"github.com/xfrmctl/xfrmctl/offload/userspace/server"
)

// plane is the data path: what moves packets. Package datapath has it.
type plane interface {
	server.Plane
	// start begins to move packets, by what the database says.
	start(db *sadb.DB) error
	// saChanged is called whenever an SA comes or goes; see sadb.Config.
	saChanged(sa *sadb.SA, added bool)
	// sourceAddr chooses a local address; see sadb.Config.
	sourceAddr(dst netip.Addr, mark uint32) (netip.Addr, bool)
	// stats fills in what the data path has to tell.
	stats(s *Status)
	close() error
}
