package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// testee is a process that the suite has started.
type testee struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan string // of its standard output; closed at its end
}

// startTestee starts the testee's command with arguments behind it.
func startTestee(command []string, args ...string) (*testee, error) {
	cmd := exec.Command(command[0], append(command[1:len(command):len(command)], args...)...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &testee{cmd: cmd, stdin: stdin, lines: make(chan string, 1024)}
	go func() {
		defer close(p.lines)
		scanner := bufio.NewScanner(stdout)
		scanner.Buffer(nil, 64<<20)
		for scanner.Scan() {
			p.lines <- scanner.Text()
		}
	}()
	return p, nil
}

// line returns the next line of the testee's output.
func (p *testee) line(patience time.Duration) (string, error) {
	select {
	case l, ok := <-p.lines:
		if !ok {
			return "", io.EOF
		}
		return l, nil
	case <-time.After(patience):
		return "", fmt.Errorf("the testee printed nothing for %v", patience)
	}
}

// stop ends the testee, by force if it must, and returns an error unless it
// ended by itself and with status 0.
func (p *testee) stop() error {
	p.stdin.Close()
	kill := time.AfterFunc(patience, func() { p.cmd.Process.Kill() })
	defer kill.Stop()
	for range p.lines { // until its output ends
	}
	return p.cmd.Wait()
}

// startServer starts a tested server and returns its address.
func startServer(command []string, handshake time.Duration) (*testee, string, error) {
	p, err := startTestee(command, "serve", fmt.Sprintf("-handshake=%v", handshake))
	if err != nil {
		return nil, "", err
	}
	line, err := p.line(2 * patience)
	addr, ok := strings.CutPrefix(line, "listening ")
	if err == nil && !ok {
		err = fmt.Errorf("it printed %q", line)
	}
	if err != nil {
		p.cmd.Process.Kill()
		_ = p.stop()
		return nil, "", fmt.Errorf("want a line \"listening ADDRESS\" from the testee: %w", err)
	}
	return p, addr, nil
}

// command is a line that tells a tested client what to do; README.md says what
// the fields mean.
type command struct {
	Do       string   `json:"do"`
	Call     string   `json:"call,omitempty"`
	Method   string   `json:"method,omitempty"`
	Kind     string   `json:"kind,omitempty"`
	Safe     bool     `json:"safe,omitempty"`
	Text     string   `json:"text,omitempty"`
	Size     int      `json:"size,omitempty"`
	Count    int      `json:"count,omitempty"`
	Timeout  int      `json:"timeout_ms,omitempty"`
	Metadata []string `json:"metadata,omitempty"`
}

// event is a line that a tested client prints.
type event struct {
	Call     string   `json:"call"`
	Event    string   `json:"event"`
	Text     string   `json:"text"`
	Status   uint16   `json:"status"`
	Message  string   `json:"message"`
	NotRun   bool     `json:"not_run"`
	Never    bool     `json:"never"`
	RetryMS  int64    `json:"retry_ms"`
	Headers  []string `json:"headers"`
	Trailers []string `json:"trailers"`
	Details  []string `json:"details"`
}

func (e event) String() string {
	b, _ := json.Marshal(e)
	return string(b)
}

// client is a tested client.
type client struct {
	t       *T
	process *testee
	pending []event
}

// startClient starts a tested client that calls addr. It ends with the case.
func (t *T) startClient(addr string) *client {
	if len(t.suite.command) == 0 {
		t.na("there is no command that starts a client")
	}
	p, err := startTestee(t.suite.command, "call", addr)
	if err != nil {
		t.failf("a testee", "%v", err)
	}
	c := &client{t: t, process: p}
	t.cleanup(p.stop)
	return c
}

// do tells the client to do something.
func (c *client) do(cmd command) {
	b, err := json.Marshal(cmd)
	if err == nil {
		_, err = c.process.stdin.Write(append(b, '\n'))
	}
	if err != nil {
		c.t.failf("a client that listens", "%v", err)
	}
}

// event returns the next event of a call, and keeps those of others for later.
func (c *client) event(call string) event {
	for i, e := range c.pending {
		if e.Call == call {
			c.pending = append(c.pending[:i:i], c.pending[i+1:]...)
			return e
		}
	}
	for {
		line, err := c.process.line(2 * patience)
		if err != nil {
			c.t.failf(fmt.Sprintf("an event of call %q", call), "%v", err)
		}
		e := c.parse(line)
		if e.Call == call {
			return e
		}
		c.pending = append(c.pending, e)
	}
}

// result returns the result of a call; messages and sends before it are skipped.
func (c *client) result(call string) event {
	for {
		if e := c.event(call); e.Event == "result" {
			return e
		}
	}
}

// tryResult is result for a call that may take longer than patience.
func (c *client) tryResult(call string, patience time.Duration) (event, bool) {
	for i, e := range c.pending {
		if e.Call == call && e.Event == "result" {
			c.pending = append(c.pending[:i:i], c.pending[i+1:]...)
			return e, true
		}
	}
	line, err := c.process.line(patience)
	if err != nil {
		return event{}, false
	}
	e := c.parse(line)
	if e.Call == call && e.Event == "result" {
		return e, true
	}
	c.pending = append(c.pending, e)
	return event{}, false
}

func (c *client) parse(line string) event {
	var e event
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		c.t.failf("events of the client", "%q: %v", line, err)
	}
	return e
}

// want fails the case unless the call ends with status and, if that is OK, text.
func (c *client) want(call string, status uint16, text string) event {
	e := c.result(call)
	if e.Status != status || status == sOK && e.Text != text {
		c.t.failf(fmt.Sprintf("call %q ends with status %d and %.80q", call, status, text), "%.400v", e)
	}
	return e
}

// wantEvent fails the case unless the call's next event is of the given kind.
func (c *client) wantEvent(call, kind string) event {
	e := c.event(call)
	if e.Event != kind {
		c.t.failf(fmt.Sprintf("event %q of call %q", kind, call), "%.400v", e)
	}
	return e
}
