package traffic

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// variable holds the Job of a process that Spawn started.
const variable = "XFRMCTL_TRAFFIC"

// A Job is what one process does.
type Job struct {
	Role    string        // tcp-source, tcp-sink, udp-source, udp-sink, relay
	Addr    string        // IP:PORT to send to or to listen on
	Streams int           // of TCP
	Control string        // congestion control of TCP, "" for the machine's
	Size    int           // bytes in a datagram
	For     time.Duration // how long a source sends
	Rate    int           // datagrams a second, 0: as many as possible
	Device  string        // TUN device that a relay makes
	Local   string        // IP:PORT that a relay binds to
}

// A Count is what a process has sent or received.
type Count struct {
	Bytes   uint64  // payload of TCP or UDP
	Packets uint64  // of UDP
	Seconds float64 // from the first byte to the last
	Error   string  `json:",omitempty"`
}

// BitsPerSecond is the rate of the payload.
func (c Count) BitsPerSecond() float64 { return 8 * float64(c.Bytes) / c.Seconds }

// PacketsPerSecond is the rate of datagrams.
func (c Count) PacketsPerSecond() float64 { return float64(c.Packets) / c.Seconds }

// Main does the job that the environment names and ends the process; without
// one it returns.
func Main() {
	text := os.Getenv(variable)
	if text == "" {
		return
	}
	var j Job
	var c Count
	err := json.Unmarshal([]byte(text), &j)
	if err == nil {
		c, err = j.run()
	}
	if err != nil {
		c.Error = fmt.Sprintf("%s %s: %v", j.Role, j.Addr, err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(c); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

func (j Job) run() (Count, error) {
	switch j.Role {
	case "tcp-source":
		return j.tcpSource()
	case "tcp-sink":
		return j.tcpSink()
	case "udp-source":
		return j.udpSource()
	case "udp-sink":
		return j.udpSink()
	case "relay":
		return j.relay()
	}
	return Count{}, errors.New("no such role")
}

// ready tells Spawn that a sink listens, or a relay carries packets.
func ready() { fmt.Println("ready") }

// A Child is a running job. It is used by one goroutine.
type Child struct {
	cmd *exec.Cmd
	out *bufio.Reader
	err strings.Builder
}

// Spawn starts a process for a job in ns. A sink listens when it returns, and a
// relay's device is there.
func Spawn(ns *sandbox.NS, j Job) (*Child, error) {
	text, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	c := &Child{cmd: exec.Command("/proc/self/exe")}
	c.cmd.Env = append(os.Environ(), variable+"="+string(text))
	c.cmd.Stderr = &c.err
	pipe, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := ns.Do(c.cmd.Start); err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(pipe)
	if strings.HasSuffix(j.Role, "-source") {
		return c, nil
	}
	if line, err := c.out.ReadString('\n'); line != "ready\n" {
		c.Kill()
		return nil, fmt.Errorf("%s does not listen: %q %v %s", j.Role, line, err, c.err.String())
	}
	return c, nil
}

// Wait returns what the process counted, when it has ended by itself.
func (c *Child) Wait() (Count, error) {
	var n Count
	err := json.NewDecoder(c.out).Decode(&n)
	if e := c.cmd.Wait(); e != nil {
		err = fmt.Errorf("%w: %s", e, c.err.String())
	}
	if err == nil && n.Error != "" {
		err = errors.New(n.Error)
	}
	return n, err
}

// PID is the process.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Kill ends the process.
func (c *Child) Kill() {
	c.cmd.Process.Kill() //nolint:errcheck // it may have ended
	c.cmd.Wait()         //nolint:errcheck // as above
}
