// Package etcd keeps servers in etcd and finds them there. A Registry is an
// address.Resolver for targets like "etcd:///users" and an address.Registrar:
//
//	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"10.0.0.9:2379"}})
//	...
//	registry := etcd.New(client)
//	schemes := address.Builtin().With("etcd", registry)
//
// A server is the key "/rpcx/NAME/HOST:PORT" with an address.Endpoint in JSON as its
// value, under a lease that the server keeps alive. Other programs may put such keys
// in as well, with or without a lease: what follows the name matters to nobody, as
// long as there is no "/" in it.
//
//	etcdctl put /rpcx/users/a '{"address": "10.0.0.1:7000", "weight": 3, "zone": "a"}'
//
// The client, with its TLS, its user and its timeouts, is its owner's, and is closed
// after everything here. A user that only finds servers needs leave to read the
// prefix "/rpcx/"; one that registers them, to read and write it.
package etcd

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

	"github.com/rpcx-go/rpcx/runtime/address"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Defaults of options.
const (
	DefaultPrefix       = "/rpcx/"
	DefaultTTL          = 10 * time.Second
	DefaultMaxEndpoints = 10_000
)

const (
	// timeout bounds each request to etcd.
	timeout = 5 * time.Second
	// maxName is the longest name, in bytes.
	maxName = 256
)

// ErrClosed is the error of registrations after Close.
var ErrClosed = errors.New("the etcd registry is closed")

// Registry finds servers in etcd and keeps them there. Its methods may be called
// concurrently.
type Registry struct {
	client *clientv3.Client
	config config
	turn   chan struct{} // held by the one that registers

	mu      sync.Mutex
	entries map[string]*registration // by key
	closed  bool
}

var (
	_ address.Resolver  = (*Registry)(nil)
	_ address.Registrar = (*Registry)(nil)
)

// Option configures a Registry.
type Option interface{ apply(*config) }

type config struct {
	prefix       string
	ttl          time.Duration
	maxEndpoints int
	onError      func(error)
}

type option func(*config)

func (o option) apply(c *config) { o(c) }

// WithPrefix sets what all keys begin with, DefaultPrefix if it is not given. A "/"
// at the end is added if it is missing and the prefix is not empty.
func WithPrefix(prefix string) Option {
	return option(func(c *config) {
		if prefix != "" && !strings.HasSuffix(prefix, "/") {
			prefix += "/"
		}
		c.prefix = prefix
	})
}

// WithTTL sets how long the entry of a server stays that died without a word,
// DefaultTTL if it is not given or not positive. It is rounded up to whole seconds,
// and etcd raises what is less than about twice its election timeout. An entry is
// renewed when a third has passed.
func WithTTL(ttl time.Duration) Option {
	return option(func(c *config) {
		if ttl > 0 {
			c.ttl = ttl
		}
	})
}

// WithMaxEndpoints sets how many entries of one name are read, DefaultMaxEndpoints if
// it is not given or not positive. Those beyond are left out and reported.
func WithMaxEndpoints(n int) Option {
	return option(func(c *config) {
		if n > 0 {
			c.maxEndpoints = n
		}
	})
}

// WithErrorHandler sets what is told of errors that have no other way to be seen: of
// entries that are skipped because they are broken or too many, and of servers whose
// entries cannot be renewed. It may be called concurrently, and has to return soon.
// Without it they are logged as warnings by slog's default logger.
func WithErrorHandler(f func(error)) Option {
	return option(func(c *config) {
		if f != nil {
			c.onError = f
		}
	})
}

// New returns a Registry that uses the client, which stays the caller's.
func New(client *clientv3.Client, opts ...Option) *Registry {
	r := &Registry{
		client:  client,
		turn:    make(chan struct{}, 1),
		entries: map[string]*registration{},
		config: config{
			prefix: DefaultPrefix, ttl: DefaultTTL, maxEndpoints: DefaultMaxEndpoints,
			onError: func(err error) { slog.Warn("addressing by etcd", "error", err) },
		},
	}
	for _, o := range opts {
		o.apply(&r.config)
	}
	return r
}

// Resolve implements address.Resolver for targets like "etcd:///users". A name may
// have parts, as in "etcd:///shop/users".
//
// What it returns reports an outage of etcd as an error, and goes on by itself when
// etcd is back, whatever happened to its data. Endpoints are in the order of their
// keys. An entry that is broken is skipped, as are all but the first with the same
// address.
func (r *Registry) Resolve(t address.Target) (address.Source, error) {
	if t.Host != "" {
		return nil, fmt.Errorf("target %q: want three slashes and a name, as in \"%s:///users\"", t.Text, t.Scheme)
	}
	if len(t.Query) > 0 {
		return nil, fmt.Errorf("target %q: nothing may follow a \"?\"", t.Text)
	}
	folder, err := r.folder(t.Path)
	if err != nil {
		return nil, fmt.Errorf("target %q: %w", t.Text, err)
	}
	return &source{r, folder}, nil
}

// folder returns what the keys of a name's entries begin with.
func (r *Registry) folder(name string) (string, error) {
	for part := range strings.SplitSeq(name, "/") {
		if part == "" {
			return "", fmt.Errorf("name %q: want a name such as \"users\" or \"shop/users\"", name)
		}
	}
	switch {
	case len(name) > maxName:
		return "", fmt.Errorf("a name of %d bytes is too long, at most %d will do", len(name), maxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return "", fmt.Errorf("name %q: want UTF-8 without control characters", name)
	}
	return r.config.prefix + name + "/", nil
}

// escape takes out what would make a key another name's.
var escape = strings.NewReplacer("/", "%2F", "%", "%25")

// key returns the key of an endpoint in a folder, one for each identity.
func key(folder string, e address.Endpoint) string {
	if e.Network == "tcp" {
		return folder + escape.Replace(e.Addr)
	}
	return folder + escape.Replace(e.Network+":"+e.Addr)
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
	failed := make([]error, len(left))
	var running sync.WaitGroup
	for i, e := range left {
		running.Go(func() { failed[i] = e.Deregister(ctx) })
	}
	running.Wait()
	return errors.Join(failed...)
}
