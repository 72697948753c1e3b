package rpcx

import (
	"fmt"
	"net"
	"strings"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/internal/cluster"
)

// resolve returns what a cluster is made from that serves target.
func (cfg *dialConfig) resolve(target string) (*cluster.Config, error) {
	cc := &cluster.Config{
		Dial:             cfg.dial,
		DialTimeout:      cfg.dialTimeout,
		Backoff:          cfg.backoff,
		Keepalive:        cfg.keepalive,
		KeepaliveTimeout: cfg.keepaliveTimeout,
		Connections:      cfg.connections,
		PerCall:          cfg.perCall,
		KeepIdle:         cfg.keepIdle,
		Transport:        cfg.transport(),
		Observers:        cfg.observers,
		Log:              cfg.log,
	}
	if cc.Dial == nil {
		cc.Dial = new(net.Dialer).DialContext
	}
	if scheme, rest, ok := strings.Cut(target, "://"); ok && cfg.foreign != nil && (scheme == "http" || scheme == "https") {
		return cc, cfg.resolveURL(cc, scheme, rest)
	}
	var err error
	cc.Endpoint, err = address.Parse(target)
	if err != nil && cfg.dial != nil && !strings.Contains(target, "://") {
		// What a dialer of the user's takes for an address is its own matter.
		cc.Endpoint, err = address.Endpoint{Network: "tcp", Addr: target}, nil
	}
	return cc, err
}

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

// cluster makes the cluster that cc describes.
func (cfg *dialConfig) cluster(cc *cluster.Config) (cluster.Cluster, error) {
	switch {
	case cfg.foreign != nil:
		if !cfg.ping {
			// Many servers of other protocols end connections that are pinged more
			// often than every few minutes.
			cc.Keepalive = 0
		}
		return cfg.foreign.New(*cc)
	case cfg.perCall:
		return cluster.NewPerCall(*cc, cfg.keepIdle), nil
	case cfg.connections > 1:
		return cluster.NewMulti(*cc, cfg.connections), nil
	}
	return cluster.NewSingle(*cc), nil
}

// protocol returns what the servers speak.
func (cfg *dialConfig) protocol() string {
	if cfg.foreign != nil {
		return cfg.foreign.Name
	}
	return "rpcx"
}
