package provision

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// TestMain runs the tests, or is the process that is killed: this program,
// started again with the variable set.
func TestMain(m *testing.M) {
	if words := os.Getenv("XFRMCTL_TEST_VICTIM"); words != "" {
		if err := beVictim(strings.Fields(words)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// beVictim applies a document in the namespace that it is in, and kills itself
// behind so many messages, or with a negative number before that one. Words: node,
// state directory, "-" and the socket of the engine if there is one; on standard
// input, when it is its turn: document, number of messages or 0 for none.
func beVictim(words []string) error {
	a := &applier{node: words[0], stateDir: words[1], socket: strings.TrimPrefix(words[2], "-"), mtus: map[string]int{}}
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil {
		return err // it was not needed
	}
	path, number, _ := strings.Cut(strings.TrimSpace(line), " ")
	left, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	if left != 0 {
		k := &killer{left: max(left, -left), before: left < 0}
		a.wrap = func(t netlinkx.Transport, routing bool) netlinkx.Transport {
			return &deadly{t, k, routing, a.socket == "" && !routing}
		}
	}
	_, err = a.applyFile(context.Background(), path)
	return err
}

// A victim is such a process. It is started ahead, and waits for its words.
type victim struct {
	cmd   *exec.Cmd
	words io.WriteCloser
	said  *os.File
}

// victim starts a process that is going to apply a document. It has no garbage
// to collect and nothing to do at the same time: that makes it start faster.
func (x *trials) victim() (*victim, error) {
	v := &victim{cmd: exec.Command("/proc/self/exe")}
	v.cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=off", fmt.Sprintf("XFRMCTL_TEST_VICTIM=%s %s -%s", x.e.name, x.apply.stateDir, x.apply.socket))
	var err error
	if v.said, err = os.OpenFile(filepath.Join(x.e.dir, "victim"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		return nil, err
	}
	v.cmd.Stderr = v.said
	if v.words, err = v.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	return v, x.e.ns.Do(v.cmd.Start)
}

// run has it apply a document and kill itself behind so many messages, or before
// one when the number is negative, or kills it after a time, and reports whether
// it died of that.
func (v *victim) run(path string, after int, at time.Duration) (dead bool, err error) {
	if _, err := fmt.Fprintln(v.words, path, after); err != nil {
		return false, err
	}
	if at > 0 {
		timer := time.AfterFunc(at, func() { v.cmd.Process.Kill() }) //nolint:errcheck // it may be gone
		defer timer.Stop()
	}
	err = v.end()
	if err != nil && strings.Contains(err.Error(), "killed") {
		return true, nil
	}
	if err != nil {
		b, _ := os.ReadFile(v.said.Name()) // the other error is the news
		err = fmt.Errorf("%w: %s", err, b)
	}
	return false, err
}

// end waits until it is gone.
func (v *victim) end() error {
	defer v.said.Close()
	return v.cmd.Wait()
}

// dismiss ends one that is not needed.
func (v *victim) dismiss() {
	v.words.Close()
	v.end() //nolint:errcheck // it says that it had no words
}

// killer ends this process behind the message with which nothing is left. Of
// messages that only ask, those count that follow one that changes something:
// between others there is nothing but the files, which are written when they
// have been answered.
type killer struct {
	left   int
	before bool // the last one is not sent
	asked  bool // the last message only asked
}

// counts notes that a message is sent, or now was, and dies if it was the last.
func (k *killer) counts(asks, now bool) {
	if k.before == now {
		return
	}
	if !asks || !k.asked {
		k.left--
	}
	k.asked = asks
	if k.left <= 0 {
		_ = unix.Kill(os.Getpid(), unix.SIGKILL) // then there is nobody to look at an error
		select {}
	}
}

// deadly counts messages. It sends them one by one, although they come together:
// an engine in userspace may get only some of them. To the kernel's XFRM they go
// as they come, since it has carried out all of a datagram when it lets go of a
// process that is to die.
type deadly struct {
	netlinkx.Transport
	k       *killer
	routing bool // rtnetlink, else XFRM
	whole   bool // datagrams stay as they are
}

func (d *deadly) Send(b []byte) error {
	for len(b) >= unix.SizeofNlMsghdr {
		n := int(binary.NativeEndian.Uint32(b))
		if d.whole {
			n = len(b)
		}
		asks := d.asks(binary.NativeEndian.Uint16(b[4:]))
		d.k.counts(asks, false)
		if err := d.Transport.Send(b[:n]); err != nil {
			return err
		}
		d.k.counts(asks, true)
		b = b[min((n+3)&^3, len(b)):]
	}
	return nil
}

// asks reports whether messages of a type change nothing. Those of rtnetlink come
// in fours, of which the third asks.
func (d *deadly) asks(typ uint16) bool {
	if d.routing {
		return typ%4 == 2
	}
	switch netlinkx.MsgType(typ) {
	case netlinkx.MsgGetSA, netlinkx.MsgGetPolicy, netlinkx.MsgGetDefault:
		return true
	}
	return false
}
