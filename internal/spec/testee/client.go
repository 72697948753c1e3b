package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// command is a line that tells the client what to do.
type command struct {
	Do       string   `json:"do"`
	Call     string   `json:"call"`
	Method   string   `json:"method"`
	Kind     string   `json:"kind"`
	Safe     bool     `json:"safe"`
	Text     string   `json:"text"`
	Size     int      `json:"size"`
	Count    int      `json:"count"`
	Timeout  int      `json:"timeout_ms"`
	Metadata []string `json:"metadata"`
}

// message is the message that the command sends: Text filled up to Size.
func (c command) message() *msg {
	return text(c.Text + strings.Repeat(".", max(c.Size-len(c.Text), 0)))
}

// event is a line that the client prints.
type event struct {
	Call     string   `json:"call"`
	Event    string   `json:"event"`
	Text     string   `json:"text,omitempty"`
	Status   uint32   `json:"status"`
	Message  string   `json:"message,omitempty"`
	NotRun   bool     `json:"not_run,omitempty"`
	Never    bool     `json:"never,omitempty"`
	RetryMS  int64    `json:"retry_ms,omitempty"`
	Headers  []string `json:"headers,omitempty"`
	Trailers []string `json:"trailers,omitempty"`
	Details  []string `json:"details,omitempty"`
}

// client makes calls.
type client struct {
	conn    *rpcx.Conn
	methods map[string]rpcx.Method[msg, msg]
	calls   map[string]*running
	tasks   sync.WaitGroup

	mu  sync.Mutex
	out *json.Encoder
}

// running is a call: unary ones have only cancel.
type running struct {
	cancel context.CancelFunc
	stream call.ClientStream
	send   chan command // to the goroutine that sends
	recv   chan int     // to the goroutine that receives: how many messages
}

// callAll does what the lines of in say and prints events to out.
func callAll(addr string, in io.Reader, out io.Writer) error {
	conn, err := rpcx.Dial(addr, rpcx.WithChecksums())
	if err != nil {
		return err
	}
	c := &client{conn: conn, methods: map[string]rpcx.Method[msg, msg]{}, calls: map[string]*running{}, out: json.NewEncoder(out)}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var cmd command
		if err := json.Unmarshal(lines.Bytes(), &cmd); err != nil {
			return err
		}
		if err := c.do(cmd); err != nil {
			return err
		}
	}
	for _, r := range c.calls {
		r.cancel()
		if r.send != nil {
			close(r.send)
			close(r.recv)
		}
	}
	conn.Close()
	c.tasks.Wait()
	return lines.Err()
}

func (c *client) print(e event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.out.Encode(e) // who reads it may have gone
}

func (c *client) do(cmd command) error {
	r := c.calls[cmd.Call]
	switch {
	case cmd.Do == "close":
		c.conn.Close()
		c.print(event{Call: cmd.Call, Event: "closed"})
	case cmd.Do == "call":
		ctx, cancel := context.WithCancel(context.Background())
		c.calls[cmd.Call] = &running{cancel: cancel}
		m := c.method(cmd)
		c.tasks.Go(func() { c.unary(ctx, cmd, m) })
	case cmd.Do == "open":
		c.open(cmd)
	case r == nil:
		return fmt.Errorf("%s: there is no call %q", cmd.Do, cmd.Call)
	case cmd.Do == "cancel":
		r.cancel()
	case r.send != nil && (cmd.Do == "send" || cmd.Do == "half_close"):
		r.send <- cmd
	case r.send != nil && cmd.Do == "recv":
		r.recv <- cmd.Count
	default:
		return fmt.Errorf("cannot do %q", cmd.Do)
	}
	return nil
}

// method returns the method that cmd names; there is one value for each.
func (c *client) method(cmd command) rpcx.Method[msg, msg] {
	key := fmt.Sprint(cmd.Method, cmd.Kind, cmd.Safe)
	m, ok := c.methods[key]
	if !ok {
		spec := rpcx.MethodSpec{Service: "spec.v1.Spec", Name: cmd.Method}
		spec.Kind = map[string]call.Kind{"client": rpcx.ClientStream, "server": rpcx.ServerStream, "bidi": rpcx.BidiStream}[cmd.Kind]
		if cmd.Safe {
			spec.Idempotency = rpcx.NoSideEffects
		}
		m = rpcx.NewMethod[msg, msg](spec)
		c.methods[key] = m
	}
	return m
}

func (cmd command) options() []rpcx.CallOption {
	var opts []rpcx.CallOption
	if cmd.Timeout > 0 {
		opts = append(opts, rpcx.WithTimeout(time.Duration(cmd.Timeout)*time.Millisecond))
	}
	if len(cmd.Metadata) > 0 {
		opts = append(opts, rpcx.WithMetadata(metadata.Pairs(cmd.Metadata...)))
	}
	return opts
}

func (c *client) unary(ctx context.Context, cmd command, m rpcx.Method[msg, msg]) {
	var headers, trailers metadata.MD
	res, err := rpcx.CallUnary(ctx, c.conn, m, cmd.message(), append(cmd.options(), rpcx.Header(&headers), rpcx.Trailer(&trailers))...)
	c.result(cmd.Call, string(res.GetValue()), err, headers, trailers)
}

func (c *client) result(name, text string, err error, headers, trailers metadata.MD) {
	e := status.FromError(err)
	ev := event{
		Call: name, Event: "result", Text: text, Status: uint32(e.Code()), Message: e.Message(), NotRun: e.NotRun(), Never: e.DoNotRetry(),
		Headers: flat(headers), Trailers: flat(trailers),
	}
	if after, ok := e.RetryAfter(); ok {
		ev.RetryMS = after.Milliseconds()
	}
	for _, d := range e.Details() {
		ev.Details = append(ev.Details, d.Type, hex.EncodeToString(d.Value))
	}
	c.print(ev)
}

// flat is md as alternating keys and values, binary ones in hex.
func flat(md metadata.MD) []string {
	var kv []string
	for _, e := range md {
		v := e.Value
		if strings.HasSuffix(e.Key, metadata.BinarySuffix) {
			v = hex.EncodeToString([]byte(v))
		}
		kv = append(kv, e.Key, v)
	}
	return kv
}

// open starts a streaming call, and goroutines that send and receive in it.
func (c *client) open(cmd command) {
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{cancel: cancel, send: make(chan command, 1000), recv: make(chan int, 1000)}
	c.calls[cmd.Call] = r
	m := c.method(cmd)
	ready := make(chan struct{})
	c.tasks.Go(func() {
		defer close(ready)
		var req any
		if !m.Descriptor().Kind().CallerStreams() {
			req = cmd.message()
		}
		var err error
		if r.stream, err = c.conn.CallStream(ctx, m.Descriptor(), req, cmd.options()...); err != nil {
			r.stream = nil
			c.result(cmd.Call, "", err, nil, nil)
		}
	})
	c.tasks.Go(func() {
		<-ready
		for cmd := range r.send {
			c.send(r.stream, cmd)
		}
	})
	c.tasks.Go(func() {
		<-ready
		for n := range r.recv {
			c.recv(r.stream, cmd.Call, n)
		}
		if r.stream != nil {
			r.stream.Close()
		}
	})
}

func (c *client) send(s call.ClientStream, cmd command) {
	if s == nil {
		return
	}
	ev, err := event{Call: cmd.Call, Event: "sent"}, error(nil)
	if cmd.Do == "half_close" {
		err = s.CloseSend()
	} else {
		for range max(cmd.Count, 1) {
			if err = s.Send(cmd.message()); err != nil {
				break
			}
		}
	}
	if err != nil {
		ev.Event, ev.Message = "not-sent", err.Error()
	}
	c.print(ev)
}

// recv receives n messages, or until the end if n is 0.
func (c *client) recv(s call.ClientStream, name string, n int) {
	for i := 0; s != nil && (n == 0 || i < n); i++ {
		m := new(msg)
		err := s.Recv(m)
		if err == nil {
			c.print(event{Call: name, Event: "message", Text: string(m.GetValue())})
			continue
		}
		if err == io.EOF {
			err = nil
		}
		headers, _ := s.Header()
		c.result(name, "", err, headers, s.Trailer())
		return
	}
}
