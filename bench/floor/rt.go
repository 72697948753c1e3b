package floor

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	pb "github.com/rpcx-go/rpcx/bench/gen/echo"
)

// The bookkeeping that a real (thin) runtime cannot avoid, on top of the vt floor.

var rtBG = context.Background()

type rtCtx struct {
	context.Context
	deadline time.Time
	id       uint64
	s        *srvConn
}

func (c *rtCtx) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

type rtMsg interface {
	SizeVT() int
	UnmarshalVT([]byte) error
	MarshalToSizedBufferVT([]byte) (int, error)
}
type rtHandler func(srv any, ctx context.Context, in []byte) (rtMsg, error)
type rtMethod struct{ h rtHandler }

type rtService interface {
	Unary(context.Context, *pb.Echo) (*pb.Echo, error)
}
type rtImpl struct{}

func (rtImpl) Unary(_ context.Context, in *pb.Echo) (*pb.Echo, error) {
	return &pb.Echo{Payload: in.Payload, Seq: in.Seq, Tag: in.Tag}, nil
}

var rtMethods = map[string]*rtMethod{"/echo.EchoSvc/Unary": {func(srv any, ctx context.Context, in []byte) (rtMsg, error) {
	m := new(pb.Echo)
	if err := m.UnmarshalVT(in); err != nil {
		return nil, err
	}
	return srv.(rtService).Unary(ctx, m)
}}}
var rtName = []byte("/echo.EchoSvc/Unary")

func rtCall(s *srvConn, ctx context.Context, in []byte) (m rtMsg, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	md := rtMethods[string(rtName)]
	if md == nil {
		return nil, errW
	}
	return md.h(rtImpl{}, ctx, in)
}

var errW = fmt.Errorf("no method")

func (j *job) runRT() {
	s := j.s
	s.rtmu.Lock()
	s.live[j.id] = j
	s.rtmu.Unlock()
	ctx := &rtCtx{Context: rtBG, deadline: time.Now().Add(time.Second), id: j.id, s: s}
	m, err := rtCall(s, ctx, j.buf)
	if err != nil {
		panic(err)
	}
	s.rtmu.Lock()
	delete(s.live, j.id)
	s.rtmu.Unlock()
	s.ncalls.Add(1)
	j.req.codec = cRT
	j.req.pb = m.(*pb.Echo)
	others := s.inflight.Load() > 1
	if j.fin == nil {
		j.fin = j.finish
	}
	s.w.write(j.id, &j.req, j.fin, others)
	s.inflight.Add(-1)
}

func (c *client) callRT(ctx context.Context, payload []byte, size int) error {
	in := &pb.Echo{Payload: payload, Seq: 7, Tag: "bench"}
	if err := ctx.Err(); err != nil {
		return err
	}
	c.rtmu.Lock()
	cl := c.free[len(c.free)-1]
	c.free = c.free[:len(c.free)-1]
	c.rtmu.Unlock()
	cl.gen++
	cl.id = uint64(cl.gen)<<32 | uint64(cl.slot)
	cl.m.codec = cRT
	cl.m.pb = in
	cl.state.Store(stIdle)
	others := c.inflight.Add(1) > 1
	if err := c.w.write(cl.id, &cl.m, nil, others); err != nil {
		return err
	}
	if c.callerRd {
		if err := c.waitCR(cl); err != nil {
			return err
		}
	} else {
		select {
		case <-cl.ch:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	c.inflight.Add(-1)
	out := new(pb.Echo)
	err := out.UnmarshalVT(cl.buf)
	c.rtmu.Lock()
	c.free = append(c.free, cl)
	c.rtmu.Unlock()
	c.ncalls.Add(1)
	if err == nil && len(out.Payload) != size {
		err = errSize
	}
	return err
}

func envInt(k string, d int) int {
	if v, err := strconv.Atoi(os.Getenv(k)); err == nil {
		return v
	}
	return d
}
