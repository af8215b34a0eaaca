package netlinkx

import (
	"fmt"
	"strings"
)

// Commands to run next, in the words of `xfrmctl`.

// run introduces a command.
func run(words ...string) string {
	return "run: xfrmctl " + strings.Join(strings.Fields(strings.Join(words, " ")), " ")
}

// listSAs lists every SA with this destination, protocol and SPI, whatever its
// mark and if_id.
func listSAs(id SAID) string {
	words := "state list"
	if id.Dst.IsValid() {
		words += " dst " + id.Dst.String()
	}
	words += " proto " + id.Proto.String()
	if id.Proto.HasSPI() {
		words += " spi " + id.SPI.String()
	}
	return run(words)
}

// deleteSA deletes the SA that id names.
func deleteSA(id SAID) string {
	words := "state delete"
	if id.Src.IsValid() {
		words += " src " + id.Src.String()
	}
	words += fmt.Sprintf(" dst %s proto %s spi %s", addrText(id.Dst), id.Proto, id.SPI)
	return run(words, markWords(id.Mark))
}

func markWords(m Mark) string {
	if m == (Mark{}) {
		return ""
	}
	return fmt.Sprintf("mark %#x mask %#x", m.Value, m.Mask)
}

// listPolicies lists the policies among which the one that id names can be.
func listPolicies(id PolicyID) string {
	words := "policy list dir " + id.Dir.String()
	if id.Type.Valid {
		words += " ptype " + id.Type.V.String()
	}
	if id.Dir.Socket() {
		words = "policy list"
	}
	return run(words)
}
