package dispatch

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/stats"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// Admission decides which calls may run now. It is asked on the goroutine that
// reads the connection, before anything is decoded, and must not block.
type Admission interface {
	// Admit lets c in by returning nil. An error refuses the call.
	Admit(c *Call) *status.Error
	// Done is called once for each call that was let in, when its handler has returned.
	Done(c *Call)
}

// Config is what a Dispatcher is made from.
type Config struct {
	// Interceptors stand around each handler, the first one outermost.
	Interceptors []call.Interceptor
	// Observers are told of calls, beside the built-in counts.
	Observers []call.Observer
	// Admission decides which calls may run; nil lets all in.
	Admission Admission
	// Log receives panics of handlers.
	Log *slog.Logger
}

// Dispatcher runs incoming calls. Its methods may be called concurrently.
type Dispatcher struct {
	table
	cfg   Config
	chain call.Next // nil without interceptors
	work  sync.WaitGroup
}

// New returns a Dispatcher without methods.
func New(cfg Config) *Dispatcher {
	d := &Dispatcher{cfg: cfg}
	if len(cfg.Interceptors) > 0 {
		d.chain = call.Chain(cfg.Interceptors, d.innermost)
	}
	return d
}

// Register adds handlers. It panics if a method is registered already.
func (d *Dispatcher) Register(handlers ...call.Handler) { d.add(handlers) }

// Lookup returns the method of the given wire name ("users.v1.Users/Get"), or nil.
func (d *Dispatcher) Lookup(name string) *Method { return d.lookup(name) }

// Methods returns all methods in order of their names.
func (d *Dispatcher) Methods() []*Method { return d.sorted() }

// Registered returns how many methods there are. None ever goes.
func (d *Dispatcher) Registered() int { return d.count() }

// Stats returns the counts of all methods in order of their names.
func (d *Dispatcher) Stats() []stats.MethodStats {
	methods := d.sorted()
	out := make([]stats.MethodStats, len(methods))
	for i, m := range methods {
		out[i] = m.Stats.Snapshot(m.FullName())
	}
	return out
}

// Wait waits until no handler runs. No call may be submitted meanwhile.
func (d *Dispatcher) Wait() { d.work.Wait() }

// Admit counts c as started and asks whether it may run. If it may not, the
// call is finished with the refusal and Admit returns false.
func (d *Dispatcher) Admit(c *Call) bool {
	c.method.Stats.Start()
	for _, o := range d.cfg.Observers {
		o.CallStarted(c.info())
	}
	if d.cfg.Admission == nil {
		return true
	}
	refusal := d.cfg.Admission.Admit(c)
	if refusal == nil {
		return true
	}
	d.end(c, nil, refusal.WithNotRun())
	return false
}

// Run runs an admitted call to its end on the calling goroutine. It returns
// normally whatever the handler does, runtime.Goexit excepted: that ends the
// goroutine, after the call has been finished. A panic becomes INTERNAL; its value
// and stack are logged and never sent.
func (d *Dispatcher) Run(c *Call) {
	finished := false
	defer func() {
		if !finished {
			d.endBroken(c, recover())
		}
	}()
	res, err := d.invoke(c)
	finished = true
	d.done(c, res, status.FromError(err))
}

// endBroken finishes a call whose handler has not returned, even if the log panics.
func (d *Dispatcher) endBroken(c *Call, panicked any) {
	err := status.New(status.Internal, "the handler panicked")
	defer func() { d.done(c, nil, err) }()
	err = d.broken(c, panicked)
}

// broken returns the error of a call whose handler has panicked, or, if that is nil,
// ended its goroutine.
func (d *Dispatcher) broken(c *Call, panicked any) *status.Error {
	if panicked == nil {
		return status.New(status.Internal, "the handler ended its goroutine")
	}
	d.cfg.Log.Error("handler panicked",
		"method", c.method.FullName(), "peer", c.origin.Peer.Addr, "panic", panicked, "stack", string(debug.Stack()))
	return status.New(status.Internal, "the handler panicked")
}

func (d *Dispatcher) done(c *Call, res any, err *status.Error) {
	if d.cfg.Admission != nil {
		defer d.cfg.Admission.Done(c)
	}
	d.end(c, res, err)
}

// end finishes the call on the wire and counts it.
func (d *Dispatcher) end(c *Call, res any, err *status.Error) {
	header, trailer := c.takeAll()
	end, sent, received := c.wire.Finish(res, err, header, trailer)
	c.cancel(canceled)
	took := c.age()
	c.method.Stats.End(end.Code(), took, sent, received)
	if len(d.cfg.Observers) > 0 {
		r := call.Result{Duration: took, BytesSent: int64(sent), BytesReceived: int64(received)}
		if end != nil {
			r.Err = end
		}
		d.ended(c, r)
	}
}

func (d *Dispatcher) ended(c *Call, r call.Result) {
	for _, o := range d.cfg.Observers {
		o.CallEnded(c.info(), r)
	}
}

func (c *Call) info() call.Info {
	return call.Info{Method: c.method.Handler.Method, Side: call.Server, Peer: *c.origin.Peer, Start: c.origin.Since.Add(c.start)}
}

// invoke runs interceptors and handler. Its frame is on the stack of every handler, and
// below it the request is decoded: where neither needs much, the stack of a goroutine
// for one call stays as small as it began.
func (d *Dispatcher) invoke(c *Call) (res any, err error) {
	if c.late() {
		return nil, errLate()
	}
	if d.chain != nil {
		return d.intercept(c)
	}
	if c.method.Unary == nil {
		return nil, c.method.Stream(c, c.wire)
	}
	req := c.method.Handler.Method.NewRequest()
	if err := c.wire.DecodeRequest(req); err != nil {
		return nil, err
	}
	return c.method.Unary(c, req)
}

// errLate is not inlined, so that the frame of invoke stays small.
//
//go:noinline
func errLate() error {
	return status.New(status.DeadlineExceeded, "the deadline passed before the handler could start").WithNotRun()
}

func (d *Dispatcher) intercept(c *Call) (any, error) {
	md := c.wire.RequestHeader()
	cfg := call.Config{
		Method: c.method.Handler.Method, Side: call.Server, Peer: *c.origin.Peer, Class: c.class,
		RequestHeader: &md, Carrier: c,
	}
	if !c.method.Kind().CallerStreams() {
		cfg.Decode = c.wire.DecodeRequest
	}
	cc := call.New(cfg, nil)
	if err := d.chain(c, cc); status.CodeOf(err) != status.OK {
		return nil, err
	}
	if c.method.Unary != nil && cc.Response() == nil {
		return nil, status.Errorf(status.Internal, "an interceptor of %s returned neither a response nor an error", c.method.FullName())
	}
	return cc.Response(), nil
}

// innermost is the end of the interceptor chain: the handler. Its panics stop
// here, so that interceptors see an error.
func (d *Dispatcher) innermost(ctx context.Context, cc *call.Call) (err error) {
	c := cc.Carrier().(*Call)
	defer func() {
		if r := recover(); r != nil {
			err = d.broken(c, r)
		}
	}()
	if c.method.Unary == nil {
		s := &intercepted{ServerStream: c.wire, call: cc, single: !c.method.Kind().CallerStreams()}
		err := c.method.Stream(ctx, s)
		if refused := s.refused.Load(); refused != nil {
			return *refused
		}
		return err
	}
	req, err := cc.Request()
	if err != nil {
		return err
	}
	res, err := c.method.Unary(ctx, req)
	if err == nil {
		cc.SetResponse(res)
	}
	return err
}
