package apply

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision"
	"github.com/xfrmctl/xfrmctl/provision/document"
)

// linkJSON is the answer of link-mtu, in bytes.
type linkJSON struct {
	Outer    int `json:"outer"`
	Inner    int `json:"inner"`
	Overhead int `json:"overhead"`
}

// LinkUsage returns the words of link-mtu.
func LinkUsage() string {
	return "Usage: xfrmctl link-mtu { DEV | BYTES } [ cipher CIPHER ] [ auth NAME ]\n" +
		"                        [ mode { tunnel | transport } ] [ family { inet | inet6 } ] [ encap espinudp ]\n\n" +
		"Prints the largest inner packet that fits into one packet of the device, or of BYTES,\n" +
		"and the most that ESP adds. CIPHER is a document's: " + strings.Join(document.Names(), ", ") + ";\n" +
		"or the kernel's, like rfc4106(gcm(aes)), or cbc(aes) with auth hmac(sha256).\n"
}

// LinkComplete returns what a word of link-mtu may become.
func LinkComplete(words []string) []string {
	if len(words) <= 1 {
		return nil // a device, or a number
	}
	switch words[len(words)-2] {
	case "cipher":
		return append(document.Names(), ifaces.Ciphers()...)
	case "auth":
		return ifaces.AuthAlgorithms()
	case "mode":
		return []string{"tunnel", "transport"}
	case "family":
		return []string{"inet", "inet6"}
	case "encap":
		return []string{"espinudp"}
	}
	return []string{"cipher", "auth", "mode", "family", "encap"}
}

// LinkMTU runs the words after link-mtu.
func LinkMTU(env *Env, args []string) error {
	if len(args) == 0 {
		_, err := io.WriteString(env.Stdout, LinkUsage())
		return err
	}
	sa := &netlinkx.SA{Proto: netlinkx.ProtoESP, Mode: netlinkx.ModeTunnel, Family: netlinkx.FamilyIPv4}
	suite := document.Suites()[0]
	if len(args)%2 == 0 {
		return wordError("%s needs a value", args[len(args)-1])
	}
	for i := 1; i < len(args); i += 2 {
		if err := linkWord(sa, &suite, args[i], args[i+1]); err != nil {
			return err
		}
	}
	if suite.AEAD == "" && suite.Auth == "" {
		return &WordError{Msg: "cipher " + suite.Name + " needs an integrity algorithm", Hint: "auth NAME, for example hmac(sha256)"}
	}
	suite.Describe(sa)
	outer, err := strconv.Atoi(args[0])
	if err != nil {
		if outer, err = provision.DeviceMTU(env.NetNS, args[0]); err != nil {
			return &WordError{Msg: fmt.Sprintf("%q is neither a device here nor a number of bytes: %v", args[0], cause(err)), Hint: "ip link lists devices; -n NETNS looks in another namespace"}
		}
	}
	if outer < ifaces.MinMTU || outer > ifaces.MaxMTU {
		return wordError("a packet of %d bytes: %d to %d are possible", outer, ifaces.MinMTU, ifaces.MaxMTU)
	}
	inner, err := ifaces.MTU(outer, sa)
	if err != nil {
		return err
	}
	if env.JSON {
		return env.Encode(&linkJSON{outer, inner, outer - inner})
	}
	_, err = fmt.Fprintf(env.Stdout, "%d (outer %d, overhead %d)\n", inner, outer, outer-inner)
	return err
}

// setCipher takes a document's name, or the kernel's.
func setCipher(suite *document.Suite, name string) bool {
	for _, s := range document.Suites() {
		if s.Name == name {
			*suite = s
			return true
		}
	}
	aead, known := ifaces.IsAEAD(name)
	if *suite = (document.Suite{Name: name, Crypt: name, Auth: suite.Auth, ICVBits: suite.ICVBits}); aead {
		*suite = document.Suite{Name: name, AEAD: name, ICVBits: 128}
	}
	return known
}

// cause is the kernel's word alone.
func cause(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

func linkWord(sa *netlinkx.SA, suite *document.Suite, word, value string) error {
	switch word + " " + value {
	case "mode tunnel":
		sa.Mode = netlinkx.ModeTunnel
		return nil
	case "mode transport":
		sa.Mode = netlinkx.ModeTransport
		return nil
	case "family inet":
		sa.Family = netlinkx.FamilyIPv4
		return nil
	case "family inet6":
		sa.Family = netlinkx.FamilyIPv6
		return nil
	case "encap espinudp":
		sa.Encap = &netlinkx.Encap{Type: netlinkx.EncapESPinUDP}
		return nil
	}
	hint := "xfrmctl link-mtu help"
	switch word {
	case "cipher":
		if setCipher(suite, value) {
			return nil
		}
		hint = "known are " + strings.Join(append(document.Names(), ifaces.Ciphers()...), ", ")
	case "auth":
		if slices.Contains(ifaces.AuthAlgorithms(), value) {
			suite.Auth, suite.ICVBits = value, ifaces.ICVBits(value)
			return nil
		}
		hint = "known are " + strings.Join(ifaces.AuthAlgorithms(), ", ")
	}
	return &WordError{Msg: fmt.Sprintf("%s %s is not known", word, value), Hint: hint}
}
