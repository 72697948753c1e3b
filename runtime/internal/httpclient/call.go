package httpclient

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/httpform"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// lent is a connection that has a place reserved for one call. It implements
// cluster.Client.
type lent struct {
	*conn
	used atomic.Bool // the place has been taken or given back
}

// Peer implements cluster.Client.
func (l *lent) Peer() call.Peer { return l.peer }

// begin prepares a call. The context of what it returns is that of the request.
func (l *lent) begin(ctx context.Context, m *call.Method, md metadata.MD, class call.Class, route uint64, routed bool) (*exchange, connect.ClientStream, *status.Error) {
	x := &exchange{lent: l, limit: int(l.p.cfg.Transport.Settings.MaxMetadata), bidi: m.Kind() == call.KindBidiStream, streams: m.Kind().CallerStreams()}
	if m.Kind() != call.KindUnary {
		x.head = make(chan struct{})
	}
	ctx, x.info = connect.NewClientContext(ctx)
	if err := httpform.AddMetadata(x.info.RequestHeader(), md); err != nil {
		return nil, nil, status.New(status.InvalidArgument, err.Error()).WithCause(err).WithNotRun()
	}
	httpform.AddClass(x.info.RequestHeader(), class)
	if routed {
		httpform.AddRoute(x.info.RequestHeader(), route)
	}
	x.ctx = x.traced(ctx)
	cs, err := l.p.form.NewClientStream(x.ctx, httpform.SpecOf(m))
	if err != nil {
		return nil, nil, x.failure(err)
	}
	return x, cs, nil
}

// StartUnary implements cluster.Client: FinishUnary does everything.
func (l *lent) StartUnary(context.Context, *transport.Unary) <-chan struct{} { return nil }

// FinishUnary implements cluster.Client.
func (l *lent) FinishUnary(ctx context.Context, u *transport.Unary) *status.Error {
	return l.Unary(ctx, u)
}

// Unary implements cluster.Client.
func (l *lent) Unary(ctx context.Context, u *transport.Unary) *status.Error {
	if ctx.Err() != nil || u.Timed && !time.Now().Before(u.Deadline) {
		return ended(ctx, u.Timed, status.PhaseSend).WithNotRun()
	}
	u.Peer = &l.peer
	if u.Timed {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, u.Deadline)
		defer cancel()
	}
	x, cs, refused := l.begin(ctx, u.Method, u.Metadata, u.Class, u.Route, u.Routed)
	if refused != nil {
		return refused
	}
	err := cs.Send(u.Req)
	u.Sent = int(httpform.Moved(x.info.SendStats))
	if err != nil {
		return x.failure(err)
	}
	if err = cs.CloseSend(); err == nil {
		err = cs.Receive(u.Res)
	}
	u.Received = int(httpform.Moved(x.info.ReceiveStats))
	var bad *status.Error
	if u.Header, bad = x.metadata(x.info.ResponseHeader()); bad == nil {
		u.Trailer, bad = x.metadata(x.info.ResponseTrailer())
	}
	if err != nil {
		return x.failure(err)
	}
	return bad
}

// metadata returns the metadata in headers of an answer.
func (x *exchange) metadata(h *connect.Header) (metadata.MD, *status.Error) {
	if h.Len() == 0 {
		return nil, nil
	}
	md, err := httpform.FromHeaders(h.All())
	if err != nil {
		return nil, status.New(status.Internal, "answer: "+err.Error())
	}
	return x.checked(md)
}

// checked returns the part of md that metadata may be: servers of others name
// headers as they like.
func (x *exchange) checked(md metadata.MD) (metadata.MD, *status.Error) {
	kept := md[:0]
	for _, p := range md {
		if metadata.ValidKey(p.Key) && metadata.ValidValue(p.Key, p.Value) {
			kept = append(kept, p)
		}
	}
	if err := metadata.Validate(kept, x.limit); errors.Is(err, metadata.ErrTooLarge) {
		return nil, status.New(status.ResourceExhausted, "answer: "+err.Error()+" (option WithMaxMetadataSize)").WithDoNotRetry()
	}
	return kept, nil
}
