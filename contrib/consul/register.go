package consul

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/rpcx-go/rpcx/runtime/address"
)

// lastWord is how long Register takes to undo what ctx did not let it finish.
const lastWord = time.Second

// registration is a server's service. Its goroutine, keep, runs from Register to
// Deregister or Close.
type registration struct {
	registry *Registry
	service  *api.AgentServiceRegistration

	stop  context.CancelFunc
	ended chan struct{}
	once  sync.Once
}

// Register implements address.Registrar. The service's id is made of the name and the
// address. It tries until the service can be found, or ctx is done, but returns at
// once what waiting would not mend, such as a lack of permission or an endpoint that
// Validate refuses.
//
// The check of the service is kept passing by a goroutine until Deregister or Close,
// and a service that the agent has forgotten is registered again. A server that ends
// without any of these is found until its TTL has passed.
func (r *Registry) Register(ctx context.Context, name string, e address.Endpoint) (address.Registration, error) {
	added, err := r.registration(name, e)
	if err != nil {
		return nil, fmt.Errorf("consul: registering %v as %q: %w", e, name, err)
	}
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("consul: registering %q: %w", added.service.ID, context.Cause(ctx))
	}
	if r.isClosed() {
		return nil, fmt.Errorf("consul: registering %q: %w", added.service.ID, ErrClosed)
	}
	r.mu.Lock()
	before := r.entries[added.service.ID]
	r.mu.Unlock()
	if err = added.enter(ctx); err == nil {
		err = added.start()
	}
	if err != nil {
		added.discard(ctx, err, before != nil)
		return nil, fmt.Errorf("consul: registering %q: %w", added.service.ID, err)
	}
	if before != nil {
		before.once.Do(before.halt) // its service has been replaced
	}
	return added, nil
}

// discard takes out what a Register that failed may have put in, unless there was
// a registration before that is still kept: its service has the same id.
func (g *registration) discard(ctx context.Context, err error, before bool) {
	if permanent(err) || before && !errors.Is(err, ErrClosed) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
	defer cancel()
	_ = g.leave(ctx) // or else it expires
	g.registry.client.idle()
}

func (r *Registry) isClosed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

// registration returns one that Consul does not know yet.
func (r *Registry) registration(name string, e address.Endpoint) (*registration, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if err := e.Validate(); err != nil {
		return nil, err
	}
	s, err := service(name, e)
	if err != nil {
		return nil, err
	}
	s.ID = name + "@" + url.PathEscape(e.Addr)
	s.Check = &api.AgentServiceCheck{
		CheckID: "service:" + s.ID, Name: "rpcx", TTL: r.config.ttl.String(), Status: api.HealthPassing,
		DeregisterCriticalServiceAfter: r.config.expiry.String(),
	}
	return &registration{registry: r, service: s}, nil
}

// enter registers the service and waits until it can be found.
func (g *registration) enter(ctx context.Context) error {
	var pause pauses
	for {
		err := g.register(ctx)
		if err == nil {
			break
		}
		if permanent(err) || !pause.wait(ctx) {
			return err
		}
	}
	c := g.registry.client
	q := query{name: g.service.Name, passing: true}
	var index uint64
	var often rate
	for {
		if !often.wait(ctx) {
			return fmt.Errorf("the service cannot be found yet: %w", context.Cause(ctx))
		}
		found, next, err := c.health(ctx, q, index, g.registry.config.ttl)
		if permanent(err) {
			return nil // one that may not find services can still register them
		}
		for _, entry := range found {
			if entry != nil && entry.Service != nil && entry.Service.ID == g.service.ID {
				return nil
			}
		}
		if index = next; err != nil && !pause.wait(ctx) {
			return fmt.Errorf("the service cannot be found yet: %w", err)
		}
	}
}

// start has the registration kept.
func (g *registration) start() error {
	r := g.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return ErrClosed
	}
	var ctx context.Context
	ctx, g.stop = context.WithCancel(r.keep)
	g.ended = make(chan struct{})
	r.entries[g.service.ID] = g
	go g.keep(ctx)
	return nil
}

// keep keeps the check passing until ctx is done.
func (g *registration) keep(ctx context.Context) {
	defer close(g.ended)
	r := g.registry
	third := r.config.ttl / 3
	failed := "" // as it was reported
	var pause pauses
	for wait := jittered(third); sleep(ctx, wait); {
		err := g.pass(ctx)
		if code(err) != 0 {
			err = g.register(ctx) // the agent is there but does not know the check
		}
		if err == nil {
			pause, failed, wait = pauses{}, "", jittered(third)
			continue
		}
		if err.Error() != failed && ctx.Err() == nil {
			failed = err.Error()
			r.config.onError(fmt.Errorf("consul: keeping %q: %w", g.service.ID, err))
		}
		wait = min(pause.take(), jittered(third))
	}
}

// register puts the service in, or in again.
func (g *registration) register(ctx context.Context) error {
	c := g.registry.client
	return c.do(ctx, func(q *api.QueryOptions) error {
		opts := api.ServiceRegisterOpts{ReplaceExistingChecks: true}
		return c.Agent().ServiceRegisterOpts(g.service, opts.WithContext(q.Context()))
	})
}

// pass says that the server is well.
func (g *registration) pass(ctx context.Context) error {
	c := g.registry.client
	return c.do(ctx, func(q *api.QueryOptions) error {
		return c.Agent().UpdateTTLOpts(g.service.Check.CheckID, "", api.HealthPassing, q)
	})
}

// leave takes the service out.
func (g *registration) leave(ctx context.Context) error {
	c := g.registry.client
	err := c.do(ctx, func(q *api.QueryOptions) error {
		return c.Agent().ServiceDeregisterOpts(g.service.ID, q)
	})
	if code(err) == http.StatusNotFound {
		return nil
	}
	return err
}

// Deregister implements address.Registration. It tries until the service is out, ctx
// is done, or the check has failed because of not being renewed.
func (g *registration) Deregister(ctx context.Context) (err error) {
	g.once.Do(func() {
		g.halt()
		r := g.registry
		defer r.client.idle()
		r.mu.Lock()
		mine := r.entries[g.service.ID] == g
		if mine {
			delete(r.entries, g.service.ID)
		}
		r.mu.Unlock()
		if !mine {
			return // another one has its id
		}
		ctx, cancel := context.WithTimeout(ctx, r.config.ttl)
		defer cancel()
		var pause pauses
		for {
			if err = g.leave(ctx); err == nil {
				return
			}
			if permanent(err) || !pause.wait(ctx) {
				err = fmt.Errorf("consul: taking out %q, which expires now: %w", g.service.ID, err)
				return
			}
		}
	})
	return err
}

// halt ends the goroutine.
func (g *registration) halt() {
	g.stop()
	<-g.ended
}

// permanent reports whether an error stays the same when the request is repeated.
func permanent(err error) bool {
	switch code(err) {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestEntityTooLarge:
		return true
	}
	return false
}
