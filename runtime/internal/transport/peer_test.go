package transport

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/dispatch"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest/memnet"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// peer is one end of a connection whose other end is under test. It speaks
// frames by hand, so that a test decides every byte and sees every byte.
type peer struct {
	t  *testing.T
	nc net.Conn
	r  *bufio.Reader
}

// got is a frame that a peer has read.
type got struct {
	frame.Header
	frame.Sections
	payload []byte
}

func newPeer(t *testing.T, nc net.Conn) *peer {
	t.Cleanup(func() { nc.Close() })
	return &peer{t, nc, bufio.NewReader(nc)}
}

// patience is how long a peer waits for bytes. Under synctest it costs nothing.
const patience = time.Minute

// raw sends bytes.
func (p *peer) raw(b ...[]byte) {
	p.t.Helper()
	var all []byte
	for _, b := range b {
		all = append(all, b...)
	}
	if _, err := p.nc.Write(all); err != nil {
		p.t.Fatalf("peer writes: %v", err)
	}
}

// hello sends the preface and settings.
func (p *peer) hello(edit ...func(*frame.Settings)) {
	p.t.Helper()
	s := frame.DefaultSettings()
	for _, e := range edit {
		e(&s)
	}
	p.raw([]byte(frame.Preface), frame.AppendSettings(nil, s))
}

// welcome reads the preface and returns the settings that follow.
func (p *peer) welcome() frame.Settings {
	p.t.Helper()
	if b := p.bytes(frame.PrefaceSize); string(b) != frame.Preface {
		p.t.Fatalf("preface: got % x", b)
	}
	s, err := frame.ParseSettings(p.expect(frame.TypeSettings).payload)
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

func (p *peer) bytes(n int) []byte {
	p.t.Helper()
	b := make([]byte, n)
	p.nc.SetReadDeadline(time.Now().Add(patience))
	if got, err := io.ReadFull(p.r, b); err != nil {
		p.t.Fatalf("peer reads %d bytes: %v after %d: %.200q", n, err, got, b[:got])
	}
	return b
}

// next reads one frame.
func (p *peer) next() *got {
	p.t.Helper()
	g := new(got)
	if err := g.Parse(p.bytes(frame.HeaderSize)); err != nil {
		p.t.Fatal(err)
	}
	if err := g.Validate(frame.MaxPayload); err != nil {
		p.t.Fatal(err)
	}
	g.payload = p.bytes(int(g.Length))
	switch g.Type {
	case frame.TypeOpen, frame.TypeData, frame.TypeClose:
		if err := frame.ParseSections(&g.Header, g.payload, &g.Sections); err != nil {
			p.t.Fatal(err)
		}
	}
	return g
}

// expect reads one frame, which must have the type.
func (p *peer) expect(typ frame.Type) *got {
	p.t.Helper()
	g := p.next()
	if g.Type != typ {
		p.t.Fatalf("got %v %.60q, want %v", &g.Header, g.payload, typ)
	}
	return g
}

// expectFrame reads one frame, which must be one of the stream.
func (p *peer) expectFrame(typ frame.Type, id frame.StreamID) *got {
	p.t.Helper()
	g := p.expect(typ)
	if g.ID != id {
		p.t.Fatalf("got %v, want stream %d", &g.Header, id)
	}
	return g
}

// expectClose reads the CLOSE of a stream, which must have the code.
func (p *peer) expectClose(id frame.StreamID, code status.Code) *got {
	p.t.Helper()
	return p.closed(p.expectFrame(frame.TypeClose, id), code)
}

// expectCloseBehindCredit is expectClose, but passes over credit before it.
func (p *peer) expectCloseBehindCredit(id frame.StreamID, code status.Code) *got {
	p.t.Helper()
	g := p.next()
	for g.Type == frame.TypeCredit {
		g = p.next()
	}
	if g.Type != frame.TypeClose || g.ID != id {
		p.t.Fatalf("got %v, want the CLOSE of stream %d", &g.Header, id)
	}
	return p.closed(g, code)
}

// closed checks the code of a CLOSE.
func (p *peer) closed(g *got, code status.Code) *got {
	p.t.Helper()
	if status.Code(g.Code) != code {
		msg, _, _ := frame.ParseDetail(g.Detail)
		p.t.Fatalf("CLOSE of stream %d: got %v %q, want %v", g.ID, status.Code(g.Code), msg, code)
	}
	return g
}

// expectEnd reads on until a GOAWAY with the code and the end behind it.
func (p *peer) expectEnd(code frame.ErrorCode) frame.GoAway {
	p.t.Helper()
	for {
		g := p.next()
		if g.Type != frame.TypeGoAway {
			continue
		}
		ga := frame.ParseGoAway(&g.Header, g.payload)
		if ga.Code != code {
			p.t.Fatalf("GOAWAY %v %q, want %v", ga.Code, ga.Text, code)
		}
		p.expectEOF()
		return ga
	}
}

// expectEOF reads the end of the other side's direction and ends this one.
func (p *peer) expectEOF() {
	p.t.Helper()
	p.nc.SetReadDeadline(time.Now().Add(patience))
	if b, err := io.ReadAll(p.r); err != nil || len(b) > 0 {
		p.t.Fatalf("at the end: got %q, %v", b, err)
	}
	p.nc.Close()
}

// sync makes sure that everything sent before has been handled, and returns
// the frames that came before the answer.
func (p *peer) sync() []*got {
	p.t.Helper()
	p.raw(frame.AppendPing(nil, 0xfeed))
	var seen []*got
	for {
		g := p.next()
		if g.Type == frame.TypePing && g.Flags.Has(frame.FlagAck) && frame.ParsePing(g.payload) == 0xfeed {
			return seen
		}
		seen = append(seen, g)
	}
}

// enc returns a frame; parts are its payload.
func enc(h frame.Header, parts ...string) []byte {
	payload := strings.Join(parts, "")
	h.Length = uint32(len(payload))
	return append(h.Append(nil), payload...)
}

// open returns an OPEN with a single request, which defines the method as id.
func open(id frame.StreamID, m *call.Method, method uint16, req string) []byte {
	h := frame.Header{Type: frame.TypeOpen, Flags: frame.FlagName | kindFlags(m), ID: id, Code: method}
	return enc(h, name(m), req)
}

// again returns an OPEN of a method that has been defined as id.
func again(id frame.StreamID, m *call.Method, method uint16, req string) []byte {
	return enc(frame.Header{Type: frame.TypeOpen, Flags: kindFlags(m), ID: id, Code: method}, req)
}

func kindFlags(m *call.Method) frame.Flags {
	flags := frame.FlagCallerStreams
	if !m.Kind().CallerStreams() {
		flags = frame.FlagMessage | frame.FlagHalfClose
	}
	if m.Kind().CalleeStreams() {
		flags |= frame.FlagCalleeStreams
	}
	return flags
}

func name(m *call.Method) string { return string(frame.AppendName(nil, m.WireName())) }
func total(n int) string         { return string(frame.AppendTotal(nil, uint32(n))) }

// answer returns the CLOSE of a unary call that succeeded.
func answer(id frame.StreamID, res string) []byte {
	return enc(frame.Header{Type: frame.TypeClose, Flags: frame.FlagMessage, ID: id}, res)
}

// closing returns a CLOSE without a message.
func closing(id frame.StreamID, code status.Code, flags frame.Flags, parts ...string) []byte {
	return enc(frame.Header{Type: frame.TypeClose, Flags: flags, ID: id, Code: uint16(code)}, parts...)
}

// data returns a DATA with message bytes.
func data(id frame.StreamID, flags frame.Flags, parts ...string) []byte {
	return enc(frame.Header{Type: frame.TypeData, Flags: frame.FlagMessage | flags, ID: id}, parts...)
}

// The methods of the tests, one of each kind and some more of the first.
var (
	say    = method("Say", call.KindUnary, call.IdempotencyUnknown, false)
	get    = method("Get", call.KindUnary, call.NoSideEffects, false)
	inline = method("Inline", call.KindUnary, call.NoSideEffects, true)
	up     = method("Up", call.KindServerStream, call.IdempotencyUnknown, false)
	sum    = method("Sum", call.KindClientStream, call.IdempotencyUnknown, false)
	echo   = method("Echo", call.KindBidiStream, call.IdempotencyUnknown, false)
	absent = method("Absent", call.KindUnary, call.NoSideEffects, false)
)

func method(name string, k call.Kind, i call.Idempotency, nonBlocking bool) *call.Method {
	return call.NewMethod(call.MethodSpec{Service: "test.v1.Test", Name: name, Kind: k, Idempotency: i, NonBlocking: nonBlocking},
		func() any { return new(text) }, func() any { return new(text) })
}

// service answers the methods: unary ones and the bidi stream echo, up sends
// the words of its request, sum joins its messages. What is not nil replaces that.
type service struct {
	unary  func(ctx context.Context, req *text) (*text, error)
	stream func(ctx context.Context, s call.ServerStream) error
}

func (v *service) dispatcher(cfg dispatch.Config) *dispatch.Dispatcher {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	d := dispatch.New(cfg)
	for _, m := range []*call.Method{say, get, inline} {
		d.Register(call.Handler{Method: m, Unary: func(ctx context.Context, req any) (any, error) {
			if v.unary == nil {
				return str(req.(*text).s), nil
			}
			res, err := v.unary(ctx, req.(*text))
			return res, err
		}})
	}
	for m, f := range map[*call.Method]func(call.ServerStream) error{up: sendWords, sum: join, echo: echoAll} {
		d.Register(call.Handler{Method: m, Stream: func(ctx context.Context, s call.ServerStream) error {
			if v.stream != nil {
				return v.stream(ctx, s)
			}
			return f(s)
		}})
	}
	return d
}

func sendWords(s call.ServerStream) error {
	var req text
	if err := s.Recv(&req); err != nil {
		return err
	}
	for word := range strings.FieldsSeq(req.s) {
		if err := s.Send(str(word)); err != nil {
			return err
		}
	}
	return nil
}

func join(s call.ServerStream) error {
	var all []string
	for {
		var m text
		switch err := s.Recv(&m); err {
		case nil:
			all = append(all, m.s)
		case io.EOF:
			return s.Send(str(strings.Join(all, " ")))
		default:
			return err
		}
	}
}

func echoAll(s call.ServerStream) error {
	for {
		var m text
		switch err := s.Recv(&m); err {
		case nil:
			if err := s.Send(&m); err != nil {
				return err
			}
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}

func config(edit ...func(*Config)) *Config {
	cfg := &Config{
		Settings:         frame.DefaultSettings(),
		Codec:            textCodec{},
		HandshakeTimeout: 5 * time.Second,
		WriteStall:       10 * time.Second,
		Log:              slog.New(slog.DiscardHandler),
	}
	for _, e := range edit {
		e(cfg)
	}
	return cfg
}

// pipe returns a connection whose ends hold at most buffer bytes each way.
func pipe(t *testing.T, buffer int) (dialed, accepted net.Conn) {
	t.Helper()
	network := &memnet.Network{Buffer: buffer}
	l := network.Listener()
	defer l.Close()
	dialed, err := network.Dial(t.Context(), "", "server")
	if err != nil {
		t.Fatal(err)
	}
	if accepted, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return dialed, accepted
}

// serving returns a server under test and its peer. The test's end closes both.
func serving(t *testing.T, v *service, edit ...func(*Config)) (*Server, *peer) {
	t.Helper()
	return servingWith(t, v.dispatcher(dispatch.Config{}), memnet.DefaultBuffer, edit...)
}

func servingWith(t *testing.T, d *dispatch.Dispatcher, buffer int, edit ...func(*Config)) (*Server, *peer) {
	t.Helper()
	dialed, accepted := pipe(t, buffer)
	s := NewServer(context.Background(), accepted, config(edit...), d, &call.Peer{Addr: accepted.RemoteAddr()})
	served := make(chan struct{})
	go func() {
		defer close(served)
		s.Serve()
	}()
	t.Cleanup(func() {
		s.Close()
		<-served
		d.Wait()
	})
	return s, newPeer(t, dialed)
}

// settledServer is serving after both sides' settings.
func settledServer(t *testing.T, v *service, edit ...func(*Config)) (*Server, *peer) {
	t.Helper()
	s, p := serving(t, v, edit...)
	p.hello()
	p.welcome()
	return s, p
}

// dialing returns a client under test and its peer. The test's end closes both.
func dialing(t *testing.T, edit ...func(*Config)) (*Client, *peer) {
	t.Helper()
	return dialingWith(t, memnet.DefaultBuffer, edit...)
}

func dialingWith(t *testing.T, buffer int, edit ...func(*Config)) (*Client, *peer) {
	t.Helper()
	dialed, accepted := pipe(t, buffer)
	c := startClient(dialed, config(edit...), call.Peer{Addr: dialed.RemoteAddr()})
	t.Cleanup(func() { c.Close() })
	return c, newPeer(t, accepted)
}

// startClient returns a client that nobody is told of. Whoever starts it closes it.
func startClient(nc net.Conn, cfg *Config, peer call.Peer) *Client {
	c := NewClient(nc, cfg, peer)
	go c.Run(nobody{})
	return c
}

type nobody struct{}

func (nobody) Begun() {}
func (nobody) Ended() {}

// settledClient is dialing after both sides' settings.
func settledClient(t *testing.T, edit ...func(*Config)) (*Client, *peer) {
	t.Helper()
	c, p := dialing(t, edit...)
	p.welcome()
	p.hello()
	<-c.Settled()
	return c, p
}

// outcome is how a unary call ended.
type outcome struct {
	res string
	err *status.Error
	u   *Unary
}

// calling makes a unary call on a goroutine.
func calling(ctx context.Context, c *Client, m *call.Method, req string, edit ...func(*Unary)) <-chan outcome {
	return callingWith(ctx, c, m, str(req), edit...)
}

func callingWith(ctx context.Context, c *Client, m *call.Method, req *text, edit ...func(*Unary)) <-chan outcome {
	out := make(chan outcome, 1)
	go func() {
		var res text
		u := &Unary{Method: m, Req: req, Res: &res}
		u.Deadline, _ = ctx.Deadline()
		for _, e := range edit {
			e(u)
		}
		err := c.Unary(ctx, u)
		out <- outcome{res.s, err, u}
	}()
	return out
}

// wantRes fails the test unless the call succeeded with res.
func wantRes(t *testing.T, o outcome, res string) {
	t.Helper()
	if o.err != nil {
		t.Errorf("got %v, want success", o.err)
	} else if o.res != res {
		t.Errorf("got %d bytes %.60q, want %d bytes %.60q", len(o.res), o.res, len(res), res)
	}
}

// wantErr fails the test unless err has the code, says whether the call may
// have run, and contains the text.
func wantErr(t *testing.T, err error, code status.Code, notRun bool, text string) {
	t.Helper()
	var e *status.Error
	if !errors.As(err, &e) || e == nil {
		t.Errorf("got %v, want %v", err, code)
		return
	}
	if e.Code() != code || e.NotRun() != notRun || !strings.Contains(e.Error(), text) {
		t.Errorf("got %v, not run %v; want %v, not run %v, with %q", e, e.NotRun(), code, notRun, text)
	}
}

// long returns a text of n bytes that does not repeat soon.
func long(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte((i*7+i>>8)%26)
	}
	return string(b)
}
