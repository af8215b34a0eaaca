package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision/document"
)

// ifaceSA is the SA that "mtu auto" is computed for, as written.
type ifaceSA struct{ cipher, auth, icv, mode, encap, family string }

func saWord(field func(*ifaceSA) *string) func(*ifaceRequest, string) error {
	return func(r *ifaceRequest, v string) error {
		p := field(&r.sa)
		err := once(*p != "", "mtu auto", v)
		*p = v
		return err
	}
}

// mtuFor returns the SA that the mtu is to be computed for, or nil.
func (r *ifaceRequest) mtuFor() (*netlinkx.SA, error) {
	switch {
	case !r.auto && r.sa == (ifaceSA{}):
		return nil, nil
	case !r.auto && r.spec.MTU != 0:
		return nil, argError("mtu %d is given: cipher, auth, icv, mode, encap and family belong to mtu auto", r.spec.MTU)
	case r.sa.cipher == "":
		return nil, argError("mtu auto needs the cipher: cipher NAME")
	}
	sa := &netlinkx.SA{Proto: netlinkx.ProtoESP, Mode: netlinkx.ModeTunnel, Family: netlinkx.FamilyIPv4}
	if err := r.sa.shape(sa); err != nil {
		return nil, err
	}
	return sa, r.sa.algorithms(sa)
}

func (s *ifaceSA) shape(sa *netlinkx.SA) error {
	switch s.mode {
	case "", "tunnel":
	case "transport":
		sa.Mode = netlinkx.ModeTransport
	case "beet":
		sa.Mode = netlinkx.ModeBEET
	default:
		return wrong(s.mode, "mode is none of tunnel, transport, beet")
	}
	switch s.family {
	case "", "inet":
	case "inet6":
		sa.Family = netlinkx.FamilyIPv6
	default:
		return wrong(s.family, "family is neither inet nor inet6")
	}
	switch s.encap {
	case "", "none":
	case "espinudp":
		sa.Encap = &netlinkx.Encap{Type: netlinkx.EncapESPinUDP}
	case "espintcp":
		sa.Encap = &netlinkx.Encap{Type: netlinkx.EncapESPinTCP}
	default:
		return wrong(s.encap, "encap is neither espinudp nor espintcp")
	}
	return nil
}

func (s *ifaceSA) algorithms(sa *netlinkx.SA) error {
	for _, suite := range document.Suites() {
		if suite.Name == s.cipher && s.auth == "" && s.icv == "" { // a document's name says it all
			suite.Describe(sa)
			return nil
		}
	}
	aead, known := ifaces.IsAEAD(s.cipher)
	if !known {
		return unknownName("cipher", s.cipher, append(ifaces.Ciphers(), document.Names()...))
	}
	switch {
	case aead && s.auth != "":
		return wrong(s.auth, s.cipher+" has its own integrity check")
	case aead:
		bits, err := s.icvBits(128)
		sa.AEAD = &netlinkx.AEAD{Name: s.cipher, ICVBits: bits}
		return err
	case s.auth == "":
		return argError("cipher %s needs an integrity algorithm: auth NAME", s.cipher)
	case !slices.Contains(ifaces.AuthAlgorithms(), s.auth):
		return unknownName("auth", s.auth, ifaces.AuthAlgorithms())
	}
	bits, err := s.icvBits(ifaces.ICVBits(s.auth))
	sa.Crypt = &netlinkx.Algo{Name: s.cipher}
	sa.AuthTrunc = &netlinkx.AuthTrunc{Name: s.auth, ICVBits: bits}
	return err
}

// icvBits is the length of the ICV that the words ask for.
func (s *ifaceSA) icvBits(unasked uint32) (uint32, error) {
	if s.icv == "" {
		return unasked, nil
	}
	bits, err := parseCount(s.icv, 32)
	if err != nil || bits%8 != 0 {
		return 0, wrong(s.icv, "icv is not a length in bits")
	}
	return uint32(bits), nil
}

func unknownName(word, name string, known []string) error {
	err := &exitError{code: exitArgument, msg: fmt.Sprintf("%s %q is not known; known are %s", word, name, strings.Join(known, ", "))}
	if near := ipxfrm.Nearest(name, known); near != "" {
		err.hint = fmt.Sprintf("did you mean %q?", near)
	}
	return err
}
