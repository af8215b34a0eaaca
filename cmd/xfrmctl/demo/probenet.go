package demo

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"
)

// probeNetwork tries what the demo needs besides IPsec.
func probeNetwork(ns *Namespace) ([]Feature, error) {
	var list []Feature
	tried := func(f Feature, err error) error {
		var privilege *PrivilegeError
		if errors.As(err, &privilege) {
			return err
		}
		if f.OK = err == nil; err != nil {
			f.Detail = err.Error()
		}
		list = append(list, f)
		return nil
	}
	f := Feature{Name: "packet socket", Option: "CONFIG_PACKET", Modules: []string{"af_packet"}}
	if err := tried(f, trySocket(ns, "packet socket", unix.AF_PACKET, 0)); err != nil {
		return nil, err
	}
	if err := tried(Feature{Name: "IPv4", Option: "CONFIG_INET"}, trySocket(ns, "raw socket", unix.AF_INET, unix.IPPROTO_ICMP)); err != nil {
		return nil, err
	}
	n, err := dialNetwork(ns)
	if err != nil {
		return nil, err
	}
	defer n.close()
	vethErr := n.addWire(ns, "probe1")
	f = Feature{Name: "veth", Option: "CONFIG_VETH", Modules: []string{"veth"}}
	if err := tried(f, vethErr); err != nil {
		return nil, err
	}
	v6err := trySocket(ns, "raw socket", unix.AF_INET6, unix.IPPROTO_ICMPV6)
	if v6err == nil && vethErr == nil {
		v6err = n.addAddresses(veth, []netip.Prefix{pfx("2001:db8::1/64")})
	}
	f = Feature{Name: "IPv6", Option: "CONFIG_IPV6 (and no ipv6.disable=1 on its command line)", Modules: []string{"ipv6"}}
	if err := tried(f, v6err); err != nil {
		return nil, err
	}
	return list, nil
}

func trySocket(ns *Namespace, what string, family, proto int) error {
	return ns.Do(func() error {
		fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, proto)
		if err != nil {
			return socketError(what, err)
		}
		return unix.Close(fd)
	})
}
