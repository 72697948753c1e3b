package rpcx

import (
	"context"
	"sync"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/cluster"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// CallStream implements Caller.
func (c *Conn) CallStream(ctx context.Context, m *call.Method, req any, opts ...CallOption) (call.ClientStream, error) {
	o := c.options(opts)
	if c.chain != nil {
		return c.interceptStream(ctx, m, req, o)
	}
	md, err := outgoing(ctx, o)
	if err != nil {
		return nil, err
	}
	s, e := c.stream(ctx, &transport.StreamCall{Method: m, Req: req, Metadata: md, Class: o.Class}, o)
	if e != nil {
		return nil, e
	}
	return s, nil
}

// stream opens a stream, again if the attempt provably never left this process.
// sc.OnEnd, if set, is called once if there is a stream.
func (c *Conn) stream(ctx context.Context, sc *transport.StreamCall, o *call.Options) (call.ClientStream, *status.Error) {
	st := c.stats.Method(sc.Method)
	st.Start()
	start := c.now()
	c.started(sc.Method, start)
	sc.Deadline, sc.Timed = c.deadline(ctx, start, o)
	end := onceEnd(func(err *status.Error, sent, received int) {
		took := c.now() - start
		st.End(err.Code(), took, sent, received)
		c.ended(sc.Method, start, err, took, sent, received)
	})
	onEnd, base := sc.OnEnd, sc.Metadata
	sc.OnEnd = func(err *status.Error, sent, received int) {
		end(err, sent, received)
		if onEnd != nil {
			onEnd(err, sent, received)
		}
	}
	pick := cluster.Pick{Stream: true}
	if err := c.route(&pick, sc.Method, sc.Req, o); err != nil {
		end(err, 0, 0)
		return nil, err
	}
	sc.Class, sc.Route, sc.Routed = pick.Class, pick.Hash, pick.HasKey
	pick.Metadata, pick.Deadline = base, sc.Deadline
	for n := 0; ; n++ {
		s, picked, err := c.openStream(ctx, sc, &pick, base, o, n)
		if err == nil {
			return withMetadata(s, o), nil
		}
		if !picked || !resend(err, n, o) {
			end(err, 0, 0)
			return nil, err
		}
		pick.Failed()
	}
}

func (c *Conn) openStream(ctx context.Context, sc *transport.StreamCall, asked *cluster.Pick, base metadata.MD, o *call.Options, attempt int) (s call.ClientStream, picked bool, err *status.Error) {
	sc.Class.Attempt = tried(attempt)
	client, err := c.cluster.Pick(ctx, asked)
	if err != nil {
		return nil, false, err
	}
	pick := *asked // which the next attempt changes
	if o.Credentials != nil {
		if sc.Metadata, err = c.authorize(ctx, client, sc.Method, base, o.Credentials); err != nil {
			c.cluster.Done(&pick, client, err)
			return nil, true, err
		}
	}
	info := call.Info{Method: sc.Method, Side: call.Client, Peer: client.Peer(), Start: time.Now(), Attempt: attempt}
	for _, ob := range c.cfg.observers {
		ob.AttemptStarted(info)
	}
	end := onceEnd(func(err *status.Error, sent, received int) {
		r := result(err, time.Since(info.Start), sent, received)
		for _, ob := range c.cfg.observers {
			ob.AttemptEnded(info, r)
		}
		c.cluster.Done(&pick, client, err)
	})
	watched := *sc
	watched.OnEnd = func(err *status.Error, sent, received int) {
		end(err, sent, received)
		sc.OnEnd(err, sent, received)
	}
	s, err = client.OpenStream(ctx, &watched)
	if err != nil {
		end(err, 0, 0)
	}
	return s, true, err
}

// onceEnd returns f for a single use: the later calls do nothing.
func onceEnd(f func(err *status.Error, sent, received int)) func(*status.Error, int, int) {
	var once sync.Once
	return func(err *status.Error, sent, received int) {
		once.Do(func() { f(err, sent, received) })
	}
}

// withMetadata has the options Header and Trailer filled in when the stream has
// been received to its end.
func withMetadata(s call.ClientStream, o *call.Options) call.ClientStream {
	if o.Header == nil && o.Trailer == nil {
		return s
	}
	return metadataStream{s, o}
}

type metadataStream struct {
	call.ClientStream
	o *call.Options
}

func (s metadataStream) Recv(msg any) error {
	err := s.ClientStream.Recv(msg)
	if err != nil {
		if s.o.Header != nil {
			*s.o.Header, _ = s.ClientStream.Header()
		}
		if s.o.Trailer != nil {
			*s.o.Trailer = s.ClientStream.Trailer()
		}
	}
	return err
}
