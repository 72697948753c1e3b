package rpcx

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strings"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/cluster"
)

// connect returns the cluster that serves target.
func (cfg *dialConfig) connect(target string) (cluster.Cluster, error) {
	line := cfg.lineConfig()
	direct, err := cfg.endpoint(line, target)
	if direct && err != nil {
		return nil, fmt.Errorf("rpcx: dial: %w", err)
	}
	if cfg.secure != nil {
		secure, err := cfg.secure(call.Client, &cfg.common)
		if err != nil {
			return nil, err
		}
		line.Secure = cluster.SecureFunc(secure)
	}
	if direct {
		return cluster.NewDirect(*line, cfg.line)
	}
	source, err := cfg.schemes.Resolve(target)
	if err != nil {
		return nil, fmt.Errorf("rpcx: dial: %w", err)
	}
	return cfg.balanced(target, source, line)
}

// balanced returns the cluster of what source finds.
func (cfg *dialConfig) balanced(target string, source address.Source, line *cluster.Config) (cluster.Cluster, error) {
	// What is wrong with the options is said now, and not with the first call.
	sample := *line
	sample.Endpoint = address.Endpoint{Network: "tcp", Addr: "localhost:1"}
	l, err := cfg.line(sample)
	if err != nil {
		return nil, err
	}
	l.Close()
	balancer := cfg.balancer
	if balancer == nil {
		balancer = address.Default(rand.Uint64())
	}
	if cfg.routes != nil {
		if balancer, err = cfg.routes.Balancer(balancer); err != nil {
			return nil, fmt.Errorf("rpcx: dial: WithRoutes: %w", err)
		}
	}
	return cluster.NewBalanced(cluster.BalancedConfig{
		Line:       *line,
		Open:       cfg.line,
		Target:     target,
		Source:     source,
		Strict:     cfg.strict,
		Pool:       address.PoolConfig{Balancer: balancer},
		Speaks:     func(protocol string) bool { return protocol == "" || protocol == cfg.protocol() },
		Check:      cfg.check,
		CheckEvery: cfg.checkEvery,
	}), nil
}

// lineConfig returns what ways to all endpoints have in common.
func (cfg *dialConfig) lineConfig() *cluster.Config {
	cc := &cluster.Config{
		Dial:             cfg.dial,
		DialTimeout:      cfg.dialTimeout,
		Backoff:          cfg.backoff,
		Keepalive:        cfg.keepalive,
		KeepaliveTimeout: cfg.keepaliveTimeout,
		Connections:      cfg.connections,
		PerCall:          cfg.perCall,
		KeepIdle:         cfg.keepIdle,
		IdleTimeout:      cfg.idleTimeout,
		MaxAge:           cfg.maxAge,
		Transport:        cfg.transport(),
		Observers:        cfg.observers,
		Log:              cfg.log,
	}
	return cc
}

// endpoint reports whether the target is one endpoint, which needs no resolver,
// and sets it in cc, or says what is wrong with it.
func (cfg *dialConfig) endpoint(cc *cluster.Config, target string) (direct bool, err error) {
	if scheme, rest, ok := strings.Cut(target, "://"); ok && cfg.foreign != nil && (scheme == "http" || scheme == "https") {
		return true, cfg.resolveURL(cc, scheme, rest)
	}
	scheme, _, _ := strings.Cut(target, ":")
	if _, known := cfg.schemes[scheme]; known && !plain(scheme) {
		return false, nil
	}
	cc.Endpoint, err = address.Parse(target)
	if err != nil && strings.Contains(target, "://") {
		return false, nil // the error is that the scheme is not known
	}
	if err != nil && cfg.dial != nil {
		// What a dialer of the user's takes for an address is its own matter.
		cc.Endpoint, err = address.Endpoint{Network: "tcp", Addr: target}, nil
	}
	return true, err
}

// plain reports whether targets of the scheme are single endpoints, which no
// resolver has to find.
func plain(scheme string) bool { return scheme == "tcp" || scheme == "unix" }

// resolveURL has cc serve a URL, of which rest is what follows the scheme.
func (cfg *dialConfig) resolveURL(cc *cluster.Config, scheme, rest string) error {
	host, path, _ := strings.Cut(rest, "/")
	port := "80"
	switch {
	case scheme == "http" && cfg.secure != nil:
		return fmt.Errorf("target %q: it begins with http://, but an option asks for TLS", "http://"+rest)
	case scheme == "https":
		port = "443"
		if cfg.secure == nil {
			cfg.secure = cfg.foreignTLS
		}
	}
	if strings.ContainsAny(rest, "?#@") {
		return fmt.Errorf("target %q: want a URL of host, port and path alone", scheme+"://"+rest)
	}
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(strings.Trim(host, "[]"), port)
	}
	if path = strings.TrimRight(path, "/"); path != "" {
		cc.Path = "/" + path
	}
	var err error
	cc.Endpoint, err = address.Parse(host)
	return err
}

// line makes the way to one endpoint.
func (cfg *dialConfig) line(cc cluster.Config) (cluster.Line, error) {
	switch {
	case cfg.foreign != nil:
		if !cfg.ping {
			// Many servers of other protocols end connections that are pinged more
			// often than every few minutes.
			cc.Keepalive = 0
		}
		return cfg.foreign.New(cc)
	case cfg.perCall:
		return cluster.NewPerCall(cc, cfg.keepIdle), nil
	case cfg.connections > 1:
		return cluster.NewMulti(cc, cfg.connections), nil
	}
	return cluster.NewSingle(cc), nil
}

// protocol returns what the servers speak.
func (cfg *dialConfig) protocol() string {
	if cfg.foreign != nil {
		return cfg.foreign.Name
	}
	return "rpcx"
}
