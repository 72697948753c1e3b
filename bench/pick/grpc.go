package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	v3orca "github.com/cncf/xds/go/xds/data/orca/v3"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/experimental/stats"
	"google.golang.org/grpc/resolver"
)

// channel is as much of a grpc.ClientConn as a balancer sees. What connections
// report is delivered by deliver, as balancers do not expect it while they connect.
type channel struct {
	balancer.ClientConn // for what is not called
	balancer            balancer.Balancer

	mu     sync.Mutex
	events []func()
	picker atomic.Pointer[balancer.Picker]
}

func newChannel(name, config string, endpoints int) (*channel, error) {
	c := &channel{}
	builder := balancer.Get(name)
	if builder == nil {
		return nil, errors.New("grpc-go does not have it")
	}
	state := balancer.ClientConnState{}
	if p, ok := builder.(balancer.ConfigParser); ok {
		var err error
		if state.BalancerConfig, err = p.ParseConfig(json.RawMessage(config)); err != nil {
			return nil, err
		}
	}
	for i := range endpoints {
		a := resolver.Address{Addr: addr(i)}
		state.ResolverState.Endpoints = append(state.ResolverState.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{a}})
		state.ResolverState.Addresses = append(state.ResolverState.Addresses, a)
	}
	c.balancer = builder.Build(c, balancer.BuildOptions{})
	return c, c.balancer.UpdateClientConnState(state)
}

// settle makes calls until they have gone to as many connections as given, which
// are ready then and have reported loads from which weights were made.
func (c *channel) settle(ctx context.Context, connections int) error {
	ready := make(map[balancer.SubConn]bool)
	var last error
	for start := time.Now(); len(ready) < connections; {
		if time.Since(start) > 10*time.Second {
			return fmt.Errorf("%d of %d connections are in use: %w", len(ready), connections, last)
		}
		c.deliver()
		sc, err := c.call(ctx, 1+len(ready)%7)
		if err == nil {
			ready[sc] = true
			continue
		}
		last = err
		c.balancer.ExitIdle()
		time.Sleep(time.Millisecond) // some of it happens in goroutines
	}
	time.Sleep(300 * time.Millisecond) // and weights are made by a timer
	c.deliver()
	return nil
}

func (c *channel) deliver() {
	for {
		c.mu.Lock()
		events := c.events
		c.events = nil
		c.mu.Unlock()
		if len(events) == 0 {
			return
		}
		for _, e := range events {
			e()
		}
	}
}

func (c *channel) later(event func()) {
	c.mu.Lock()
	c.events = append(c.events, event)
	c.mu.Unlock()
}

// call picks a connection and ends the call; with a weight it reports a load.
func (c *channel) call(ctx context.Context, weight int) (balancer.SubConn, error) {
	result, err := (*c.picker.Load()).Pick(balancer.PickInfo{FullMethodName: "/a.B/C", Ctx: ctx})
	if err != nil {
		return nil, err
	}
	if result.Done != nil {
		info := balancer.DoneInfo{}
		if weight > 0 {
			info.ServerLoad = &v3orca.OrcaLoadReport{RpsFractional: float64(100 * weight), ApplicationUtilization: 0.5}
		}
		result.Done(info)
	}
	return result.SubConn, nil
}

func (c *channel) UpdateState(s balancer.State) { c.picker.Store(&s.Picker) }

func (c *channel) ResolveNow(resolver.ResolveNowOptions) {}

func (c *channel) Target() string { return "bench" }

func (c *channel) MetricsRecorder() stats.MetricsRecorder { return recorder{} }

func (c *channel) NewSubConn(_ []resolver.Address, o balancer.NewSubConnOptions) (balancer.SubConn, error) {
	return &subConn{channel: c, listen: o.StateListener}, nil
}

// recorder drops metrics.
type recorder struct{ stats.MetricsRecorder }

func (recorder) RecordInt64Count(*stats.Int64CountHandle, int64, ...string)             {}
func (recorder) RecordFloat64Count(*stats.Float64CountHandle, float64, ...string)       {}
func (recorder) RecordInt64Histo(*stats.Int64HistoHandle, int64, ...string)             {}
func (recorder) RecordFloat64Histo(*stats.Float64HistoHandle, float64, ...string)       {}
func (recorder) RecordInt64Gauge(*stats.Int64GaugeHandle, int64, ...string)             {}
func (recorder) RecordInt64UpDownCount(*stats.Int64UpDownCountHandle, int64, ...string) {}

// subConn pretends to be a connection, which is ready soon after it should be.
type subConn struct {
	balancer.SubConn
	channel *channel
	listen  func(balancer.SubConnState)
}

func (s *subConn) Connect() {
	for _, state := range []connectivity.State{connectivity.Connecting, connectivity.Ready} {
		s.channel.later(func() { s.listen(balancer.SubConnState{ConnectivityState: state}) })
	}
}

func (s *subConn) RegisterHealthListener(listen func(balancer.SubConnState)) {
	s.channel.later(func() { listen(balancer.SubConnState{ConnectivityState: connectivity.Ready}) })
}

func (s *subConn) Shutdown() {}

func (s *subConn) UpdateAddresses([]resolver.Address) {}
