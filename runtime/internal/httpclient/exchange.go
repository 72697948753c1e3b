package httpclient

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"

	"connectrpc.com/connect/v2"

	"github.com/rpcx-go/rpcx/runtime/internal/cluster"
	"github.com/rpcx-go/rpcx/runtime/internal/httpform"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// exchange is one request and its answer.
type exchange struct {
	*lent
	ctx   context.Context
	info  *connect.CallInfo
	limit int  // of metadata, in bytes
	bidi  bool // both sides stream

	streams bool // the caller does

	trace httptrace.ClientTrace

	phase atomic.Uint32 // a status.Phase: what is waited for
	asked atomic.Bool   // net/http was asked to send the request

	aborted atomic.Bool // the rest of the request will not come

	mu      sync.Mutex
	refused *status.Error // why the answer is not taken
	failed  error         // why net/http sent no request, or got no answer
	unsent  bool          // beside failed: nothing of the call was sent
	broken  error         // why the answer ended in the middle
	header  metadata.MD

	head     chan struct{} // closed when header is there, or will never be; nil for unary calls
	headOnce sync.Once
}

type exchangeKey struct{}

// traced returns the context of the request.
func (x *exchange) traced(ctx context.Context) context.Context {
	x.phase.Store(uint32(status.PhaseSend))
	x.trace.WroteRequest = func(httptrace.WroteRequestInfo) {
		x.phase.CompareAndSwap(uint32(status.PhaseSend), uint32(status.PhaseHandler))
	}
	return httptrace.WithClientTrace(context.WithValue(ctx, exchangeKey{}, x), &x.trace)
}

func (x *exchange) openHead() { x.headOnce.Do(func() { close(x.head) }) }

// roundTripper is what connect sends requests through.
type roundTripper struct{ p *pool }

// Do implements connecthttp.HTTPClient.
func (roundTripper) Do(r *http.Request) (*http.Response, error) {
	x := r.Context().Value(exchangeKey{}).(*exchange)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if !x.used.CompareAndSwap(false, true) {
		return nil, context.Canceled // the call is over
	}
	x.asked.Store(true)
	if x.streams {
		r.Body = &requestBody{r.Body, x}
	}
	before := x.wire.written.Load()
	res, err := x.RoundTrip(r)
	if err != nil {
		x.mu.Lock()
		x.failed, x.unsent = err, neverSent(err) || x.silent(before)
		x.mu.Unlock()
		return nil, err
	}
	x.phase.Store(uint32(status.PhaseReceive))
	if x.head != nil {
		if err := x.began(res.Header); err != nil {
			x.mu.Lock()
			x.refused = err
			x.mu.Unlock()
			res.Body.Close()
			return nil, err
		}
		x.openHead()
	}
	if x.bidi && res.ProtoMajor == 1 {
		// net/http can do both at once over HTTP/1.1, or one after the other, as the
		// server likes. The version is what connect looks at.
		res.ProtoMajor, res.ProtoMinor = 2, 0
	}
	res.Body = &body{ReadCloser: res.Body, x: x, rest: x.http1 && x.head == nil && res.ContentLength > 0}
	return res, nil
}

// silent reports whether it is certain that nothing of a request was sent which
// failed, before which so many bytes had been written.
func (x *exchange) silent(before int64) bool {
	if !x.http1 {
		if x.ctx.Err() != nil || x.Err() == nil {
			return false // it may yet be written
		}
		x.wire.Close()
	}
	return x.wire.written.Load() == before
}

// began keeps the headers of a stream.
func (x *exchange) began(h http.Header) *status.Error {
	md, err := httpform.FromHeaders(maps.All(h))
	if err != nil {
		return status.New(status.Internal, "answer: "+err.Error())
	}
	md, refused := x.checked(md)
	x.mu.Lock()
	x.header = md
	x.mu.Unlock()
	return refused
}

// requestBody is the body of a call whose caller streams. If the call is given up,
// it breaks off: its end would be taken for the last message's.
type requestBody struct {
	io.ReadCloser
	x *exchange
}

var errGivenUp = errors.New("the call was given up")

func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF && (b.x.aborted.Load() || b.x.ctx.Err() != nil) {
		err = errGivenUp
	}
	return n, err
}

// body notes why an answer ends in the middle.
type body struct {
	io.ReadCloser
	x      *exchange
	rest   bool        // it has an end that is worth reading
	closed atomic.Bool // by connect, which has seen enough
}

// shortRest is how much of an answer is read that nobody needs.
const shortRest = 4 << 10

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF && !b.closed.Load() {
		b.x.mu.Lock()
		if b.x.broken == nil {
			b.x.broken = err
		}
		b.x.mu.Unlock()
	}
	return n, err
}

func (b *body) Close() error {
	if b.rest && !b.closed.Swap(true) {
		// So that a connection of HTTP/1.1 can be used again: errors in JSON are not
		// read to the end.
		_, _ = io.CopyN(io.Discard, b.ReadCloser, shortRest)
	}
	b.closed.Store(true)
	return b.ReadCloser.Close()
}

// failure says in our words why a call failed.
func (x *exchange) failure(err error) *status.Error {
	x.mu.Lock()
	refused, failed, unsent, broken := x.refused, x.failed, x.unsent, x.broken
	x.mu.Unlock()
	unsent = unsent || !x.asked.Load()
	phase := status.Phase(x.phase.Load())
	var ce *connect.Error
	switch {
	case refused != nil:
		return refused
	case errors.As(err, &ce) && ce.IsRemote() && (!x.closing.Load() || ce.Code() != connect.CodeCanceled):
		e := httpform.TakeAdvice(x.info.ResponseTrailer(), httpform.FromConnect(err))
		if e.Code() == status.DeadlineExceeded {
			e = e.WithPhase(status.PhaseHandler)
		}
		return e
	case x.closing.Load() && (failed != nil || broken != nil || ce.IsRemote()): // it may have told the server
		return sent(cluster.Unavailable(x.lost(transport.ErrClosed)), !unsent)
	case x.ctx.Err() != nil:
		return sent(ended(x.ctx, false, phase).WithNotRun(), !unsent)
	case failed != nil && !isReset(failed) || broken != nil && !isReset(broken):
		if failed == nil {
			failed = broken
		}
		return sent(cluster.Unavailable(x.lost(failed)), !unsent)
	case failed != nil && unsent: // the server refused the stream
		return cluster.Unavailable(x.lost(failed))
	}
	e := httpform.FromConnect(err)
	switch e.Code() {
	case status.InvalidArgument: // it is not the caller's argument that cannot be decoded
		e = status.New(status.Internal, "answer: "+e.Message()).WithCause(e.Unwrap())
	case status.ResourceExhausted:
		e = status.New(e.Code(), "answer: "+e.Message()+" (option WithMaxMessageSize)").WithDoNotRetry()
	case status.DeadlineExceeded:
		e = e.WithPhase(phase)
	}
	if unsent {
		e = e.WithNotRun()
	}
	return e
}

// lost says that the connection ended.
func (x *exchange) lost(err error) error {
	return &transport.ConnError{Addr: x.peer.Addr, Err: err}
}

// sent takes back from err that the call did not run.
func sent(err *status.Error, ran bool) *status.Error {
	if !ran {
		return err
	}
	return status.New(err.Code(), err.Message()).WithPhase(err.Phase()).WithCause(err.Unwrap())
}

// ended is the error of a call that ended on this side. late says that its time
// was over before it began.
func ended(ctx context.Context, late bool, phase status.Phase) *status.Error {
	if late && ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return status.New(status.DeadlineExceeded, "the deadline passed").WithPhase(phase).WithCause(context.DeadlineExceeded)
	}
	return status.New(status.Canceled, "the caller gave up").WithCause(context.Canceled)
}

// streamError has the fields of the error with which net/http says that one
// stream of HTTP/2 was reset; its As method fills it in.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e streamError) Error() string { return "stream error" }

const refusedStream = 7 // REFUSED_STREAM, RFC 9113, section 7

// isReset reports whether err says that one stream was reset, and the connection lives.
func isReset(err error) bool {
	var e streamError
	return errors.As(err, &e)
}

// neverSent reports whether err is one by which net/http says that the server
// has not seen, or has refused, a request.
func neverSent(err error) bool {
	var e streamError
	if errors.As(err, &e) {
		return e.Code == refusedStream
	}
	switch msg := err.Error(); {
	case strings.Contains(msg, "http2: client conn not usable"),
		strings.Contains(msg, "http2: Transport received Server's graceful shutdown GOAWAY"):
		return true
	}
	return false
}
