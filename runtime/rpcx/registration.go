package rpcx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/internal/cluster"
)

const (
	// registerTimeout bounds each attempt to register.
	registerTimeout = 10 * time.Second
	// deregisterTimeout bounds how long a shutdown waits for the registry.
	deregisterTimeout = 5 * time.Second
)

// registerBackoff is how long to wait between attempts to register.
var registerBackoff = cluster.Backoff{Base: 200 * time.Millisecond, Max: 10 * time.Second}

// registration is a server's entry in one registry, as an option asks for.
type registration struct {
	registrar address.Registrar
	name      string
	endpoint  address.Endpoint
}

// WithRegistration has a server put itself into a registry under name as soon as it
// serves a listener, and take itself out as the first thing that it does when it
// shuts down. While the registry cannot be reached it goes on trying, and serves.
// e has the server's attributes. If its Addr is empty the server is where the first
// listener is; if that listens on all interfaces, at the first address of this
// machine that others can reach. The default is no registry; several may be given.
func WithRegistration(r address.Registrar, name string, e address.Endpoint) ServerOption {
	return serverOption(func(c *serverConfig) {
		if r == nil || name == "" {
			c.fail(errors.New("rpcx: WithRegistration: want a registrar and a name"))
			return
		}
		c.registrations = append(c.registrations, registration{r, name, e})
	})
}

// registered are the entries of a server. Its zero value has none.
type registered struct {
	mu      sync.Mutex
	stopped bool
	cancel  context.CancelFunc // nil until they are begun
	tasks   sync.WaitGroup
	entries []address.Registration
}

// begin registers the server, which listens on l, unless it has been done or
// stopped. It does not wait.
func (r *registered) begin(cfg *serverConfig, l net.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped || r.cancel != nil || len(cfg.registrations) == 0 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	for _, want := range cfg.registrations {
		r.tasks.Go(func() { r.register(ctx, cfg, want, l) })
	}
}

// register tries until it has worked, or ctx is done.
func (r *registered) register(ctx context.Context, cfg *serverConfig, want registration, l net.Addr) {
	e, err := advertised(want.endpoint, l)
	if err != nil {
		cfg.log.Error("cannot register", "name", want.name, "error", err)
		return
	}
	for failures := 1; ; failures++ {
		attempt, cancel := context.WithTimeout(ctx, registerTimeout)
		entry, err := want.registrar.Register(attempt, want.name, e)
		cancel()
		if err == nil {
			r.mu.Lock()
			r.entries = append(r.entries, entry)
			r.mu.Unlock()
			return
		}
		if ctx.Err() != nil {
			return
		}
		cfg.log.Warn("cannot register, will try again", "name", want.name, "endpoint", e, "error", err)
		select {
		case <-time.After(registerBackoff.Delay(failures)):
		case <-ctx.Done():
			return
		}
	}
}

// end takes the server out of all registries, the first time. It waits for them
// until ctx is done, but not long.
func (r *registered) end(ctx context.Context, cfg *serverConfig) {
	r.mu.Lock()
	stopped, cancel := r.stopped, r.cancel
	r.stopped = true
	r.mu.Unlock()
	if stopped || cancel == nil {
		return
	}
	cancel()
	ctx, stop := context.WithTimeout(ctx, deregisterTimeout)
	defer stop()
	out := make(chan struct{})
	go func() { // a registrar that does not heed its context may hold it up
		defer close(out)
		r.tasks.Wait()
		r.deregister(ctx, cfg)
	}()
	select {
	case <-out:
	case <-ctx.Done():
		cfg.log.Warn("cannot deregister in time", "error", ctx.Err())
	}
}

func (r *registered) deregister(ctx context.Context, cfg *serverConfig) {
	var all sync.WaitGroup
	for _, entry := range r.entries {
		all.Go(func() {
			if err := entry.Deregister(ctx); err != nil {
				cfg.log.Warn("cannot deregister", "error", err)
			}
		})
	}
	all.Wait()
}

// advertised returns e with the address under which others reach a server that
// listens on l.
func advertised(e address.Endpoint, l net.Addr) (address.Endpoint, error) {
	if e.Addr != "" {
		if e.Network == "" {
			e.Network = "tcp"
		}
		return e, nil
	}
	e.Network, e.Addr = l.Network(), l.String()
	ap, err := netip.ParseAddrPort(e.Addr)
	if err != nil || !ap.Addr().IsUnspecified() {
		return e, nil
	}
	own, err := ownAddr(ap.Addr())
	if err != nil {
		return e, err
	}
	e.Addr = netip.AddrPortFrom(own, ap.Port()).String()
	return e, nil
}

// ownAddr returns the first address of this machine that others can reach: one
// of IPv4 if there is one, or if only that was asked for.
func ownAddr(asked netip.Addr) (netip.Addr, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("rpcx: WithRegistration: the addresses of this machine: %w", err)
	}
	var found netip.Addr
	for _, a := range addrs {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil || !prefix.Addr().IsGlobalUnicast() {
			continue
		}
		if ip := prefix.Addr(); ip.Is4() {
			return ip, nil
		} else if !found.IsValid() && asked.Is6() {
			found = ip
		}
	}
	if !found.IsValid() {
		return found, fmt.Errorf("rpcx: WithRegistration: this machine has no address that others can reach: name one in Endpoint.Addr")
	}
	return found, nil
}
