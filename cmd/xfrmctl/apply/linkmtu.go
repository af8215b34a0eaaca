package apply

import (
	"fmt"
	"io"
	"strconv"
	"strings"

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
	return "Usage: xfrmctl link-mtu { DEV | BYTES } [ cipher CIPHER ] [ mode { tunnel | transport } ]\n" +
		"                        [ family { inet | inet6 } ] [ encap espinudp ]\n\n" +
		"Prints the largest inner packet that fits into one packet of the device, or of BYTES,\n" +
		"and the most that ESP adds. CIPHER: " + cipherNames() + ".\n"
}

// cipherNames lists the names of a document's ciphers.
func cipherNames() string {
	var names []string
	for _, s := range document.Suites() {
		names = append(names, s.Name)
	}
	return strings.Join(names, ", ")
}

// LinkComplete returns what a word of link-mtu may become.
func LinkComplete(words []string) (out []string) {
	last := ""
	if len(words) > 1 {
		last = words[len(words)-2]
	}
	switch last {
	case "cipher":
		for _, s := range document.Suites() {
			out = append(out, s.Name)
		}
		return out
	case "mode":
		return []string{"tunnel", "transport"}
	case "family":
		return []string{"inet", "inet6"}
	case "encap":
		return []string{"espinudp"}
	}
	return []string{"cipher", "mode", "family", "encap"}
}

// LinkMTU runs the words after link-mtu.
func LinkMTU(env *Env, args []string) error {
	if len(args) == 0 || args[0] == "help" {
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
	suite.Describe(sa)
	outer, err := strconv.Atoi(args[0])
	if err != nil {
		if outer, err = provision.DeviceMTU(env.NetNS, args[0]); err != nil {
			return fmt.Errorf("device %s: %w", args[0], err)
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
	for _, s := range document.Suites() {
		if word == "cipher" && s.Name == value {
			*suite = s
			return nil
		}
	}
	hint := "xfrmctl link-mtu help"
	if word == "cipher" {
		hint = "ciphers are named as in documents: " + cipherNames()
	}
	return &WordError{Msg: fmt.Sprintf("%s %s is not known", word, value), Hint: hint}
}
