// Package consul finds servers in Consul and keeps them there. A Registry is an
// address.Resolver for targets like "consul:///users" and an address.Registrar:
//
//	registry, err := consul.New(api.DefaultConfig())
//	...
//	schemes := address.Builtin().With("consul", registry)
//
// It talks to the agent that the api.Config names, mostly the one on the same
// machine, and follows a service by blocking queries.
//
// The parameters of a target are
//
//	tag        that instances must have; more of them: all
//	dc         the data center, that of the agent if it is missing
//	health     the worst health of use: passing, warning or any; passing if it is missing
//	near       a node from which Consul sorts, "_agent" is the agent's; endpoints are in
//	           the order of their addresses all the same
//	stale      true if any Consul server may answer, not just the leader
//	ns         the namespace; partition: the admin partition
//
// as in "consul:///users?tag=disk%3Dssd&dc=eu&health=warning".
//
// # What a service says of an endpoint
//
// The address is that of the service or, if it has none, of its node. The weight is
// the one for passing checks, or for warnings if there are. Of the service's meta, zone,
// region, role, protocol and name are the attributes of these names; its locality, or
// that of its node, stands in for zone and region. A tag such as "disk=ssd" is the
// Endpoint's tag disk with the value ssd, and one without "=" has the value "". All
// other meta are tags, too, unless there is one of that name. Register writes services
// in the same form.
package consul

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/consul/api"

	"github.com/rpcx-go/rpcx/runtime/address"
)

// Defaults of options.
const (
	DefaultWait         = 5 * time.Minute
	DefaultTTL          = 15 * time.Second
	DefaultExpiry       = time.Minute
	DefaultMaxEndpoints = 10_000
	DefaultMaxAnswer    = 32 << 20
)

const (
	// timeout bounds each request to the agent, and how late the answer to a
	// blocking query may be.
	timeout = 10 * time.Second
	// maxName is the longest name of a service, in bytes.
	maxName = 256
)

// ErrClosed is the error of registrations after Close.
var ErrClosed = errors.New("the consul registry is closed")

// Registry finds servers in Consul and keeps them there. Its methods may be called
// concurrently.
type Registry struct {
	client *client
	config config
	keep   context.Context // of registrations
	stop   context.CancelFunc
	turn   chan struct{} // held by the one that registers

	mu      sync.Mutex
	entries map[string]*registration // by id
	closed  bool
}

var (
	_ address.Resolver  = (*Registry)(nil)
	_ address.Registrar = (*Registry)(nil)
)

// Option configures a Registry.
type Option interface{ apply(*config) }

type config struct {
	wait, ttl, expiry time.Duration
	maxEndpoints      int
	maxAnswer         int64
	onError           func(error)
}

type option func(*config)

func (o option) apply(c *config) { o(c) }

// WithWait sets how long a blocking query waits for a change, DefaultWait if it is
// not given or not positive. Consul takes 10 minutes at most and varies it by a sixteenth.
func WithWait(wait time.Duration) Option {
	return option(func(c *config) {
		if wait > 0 {
			c.wait = wait
		}
	})
}

// WithTTL sets how long a server that died without a word passes its check,
// DefaultTTL if it is not given or not positive. The check is renewed when a third
// has passed.
func WithTTL(ttl time.Duration) Option {
	return option(func(c *config) {
		if ttl > 0 {
			c.ttl = ttl
		}
	})
}

// WithExpiry sets after how long the service of a server that died is taken out,
// DefaultExpiry if it is not given or not positive. Consul raises what is less than a minute.
func WithExpiry(expiry time.Duration) Option {
	return option(func(c *config) {
		if expiry > 0 {
			c.expiry = expiry
		}
	})
}

// WithMaxEndpoints sets how many instances of one service are used,
// DefaultMaxEndpoints if it is not given or not positive. Those beyond are left out
// and reported.
func WithMaxEndpoints(n int) Option {
	return option(func(c *config) {
		if n > 0 {
			c.maxEndpoints = n
		}
	})
}

// WithMaxAnswer sets how many bytes an answer of the agent may have,
// DefaultMaxAnswer if it is not given or not positive. A larger one is an error.
func WithMaxAnswer(n int64) Option {
	return option(func(c *config) {
		if n > 0 {
			c.maxAnswer = n
		}
	})
}

// WithErrorHandler sets what is told of errors that have no other way to be seen: of
// instances that are skipped because they are broken or too many, and of servers whose
// checks cannot be renewed. It may be called concurrently, and has to return soon.
// Without it they are logged as warnings by slog's default logger.
func WithErrorHandler(f func(error)) Option {
	return option(func(c *config) {
		if f != nil {
			c.onError = f
		}
	})
}

// New returns a Registry that uses the agent of the configuration, whose empty
// fields are those of api.DefaultConfig, with its environment variables. It does not
// change the configuration, and connects to nothing yet.
func New(agent *api.Config, opts ...Option) (*Registry, error) {
	c := config{
		wait: DefaultWait, ttl: DefaultTTL, expiry: DefaultExpiry,
		maxEndpoints: DefaultMaxEndpoints, maxAnswer: DefaultMaxAnswer,
		onError: func(err error) { slog.Warn("addressing by consul", "error", err) },
	}
	for _, o := range opts {
		o.apply(&c)
	}
	client, err := newClient(agent, c.maxAnswer)
	if err != nil {
		return nil, fmt.Errorf("consul: %w", err)
	}
	keep, stop := context.WithCancel(context.Background())
	return &Registry{
		client: client, config: c, keep: keep, stop: stop,
		turn: make(chan struct{}, 1), entries: make(map[string]*registration),
	}, nil
}

// Close takes out all servers that are registered, as Deregister does, and refuses
// further ones. What Resolve returned goes on as long as the contexts of those who
// watch. Later calls do nothing.
func (r *Registry) Close(ctx context.Context) error {
	r.mu.Lock()
	r.closed = true
	var left []*registration
	for _, e := range r.entries {
		left = append(left, e)
	}
	r.mu.Unlock()
	var failed []error
	for _, e := range left {
		failed = append(failed, e.Deregister(ctx))
	}
	r.stop()
	r.client.idle()
	return errors.Join(failed...)
}

// checkName says what is wrong with the name of a service.
func checkName(name string) error {
	switch {
	case name == "" || name == "." || name == ".." || strings.Contains(name, "/"):
		return fmt.Errorf("name %q: want the name of a service, as in \"users\"", name)
	case len(name) > maxName:
		return fmt.Errorf("a name of %d bytes is too long, at most %d will do", len(name), maxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("name %q: want UTF-8 without control characters", name)
	}
	return nil
}
