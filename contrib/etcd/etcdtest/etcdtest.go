// Package etcdtest runs an etcd server inside a program, for tests, examples and
// demonstrations of package etcd. It is a module of its own, so that programs which
// only talk to etcd do not require the server.
package etcdtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
	"google.golang.org/grpc"
)

// Config says how a server runs.
type Config struct {
	// Dir is where its data are. A server that is started with the data of another
	// one goes on from there.
	Dir string
	// Addr is the host and port for clients, a free port of the loopback
	// interface if it is empty.
	Addr string
	// CertFile and KeyFile are for TLS, "" for none. If CAFile is set clients have
	// to have a certificate of this CA.
	CertFile, KeyFile, CAFile string
}

// Server is an etcd server, a cluster of one member. It trades safety for
// speed: what it wrote last may be lost if the machine fails, and leases may
// be as short as a second. It writes no log.
type Server struct {
	etcd   *embed.Etcd
	config Config
	closed sync.Once

	mu   sync.Mutex
	grpc []*grpc.Server // those that serve clients
}

// Start returns a server that is ready, or fails when ctx is done.
func Start(ctx context.Context, c Config) (*Server, error) {
	secure := c.CertFile != ""
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	client := url.URL{Scheme: "http", Host: c.Addr}
	if secure {
		client.Scheme = "https"
	}
	peer := url.URL{Scheme: "http", Host: "127.0.0.1:0"} // nobody connects to it

	e := embed.NewConfig()
	e.Dir = c.Dir
	e.ListenClientUrls, e.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	e.ListenPeerUrls, e.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	e.InitialCluster = e.InitialClusterFromName(e.Name)
	e.TickMs, e.ElectionMs = 20, 200
	e.UnsafeNoFsync, e.BcryptCost = true, 4
	e.LogLevel = "panic"
	if secure {
		e.ClientTLSInfo = transport.TLSInfo{
			CertFile: c.CertFile, KeyFile: c.KeyFile, TrustedCAFile: c.CAFile, ClientCertAuth: c.CAFile != "",
		}
	}
	s := &Server{config: c}
	e.ServiceRegister = func(g *grpc.Server) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.grpc = append(s.grpc, g)
	}
	started, err := embed.StartEtcd(e)
	if err != nil {
		return nil, fmt.Errorf("starting etcd: %w", err)
	}
	select {
	case <-started.Server.ReadyNotify():
	case err = <-started.Err():
	case <-started.Server.StopNotify():
		err = errors.New("it stopped")
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		started.Close()
		return nil, fmt.Errorf("starting etcd: %w", err)
	}
	s.etcd, s.config.Addr = started, started.Clients[0].Addr().String()
	return s, nil
}

// Config returns the configuration with the address that clients use: with it
// another server takes this one's place.
func (s *Server) Config() Config { return s.config }

// Endpoint returns what clients call the server's address.
func (s *Server) Endpoint() string {
	scheme := "http"
	if s.config.CertFile != "" {
		scheme = "https"
	}
	return scheme + "://" + s.config.Addr
}

// Close stops the server and cuts its connections, as if it were killed. Its data
// stay. Later calls do nothing.
func (s *Server) Close() { s.closed.Do(s.stop) }

func (s *Server) stop() {
	s.mu.Lock()
	serving := s.grpc
	s.mu.Unlock()
	// Close alone would wait for whoever watches, for seconds; Stop alone, over TLS, for
	// whoever watches anew meanwhile, which only Close keeps from it.
	var stopping sync.WaitGroup
	for _, g := range serving {
		stopping.Go(g.Stop)
	}
	s.etcd.Close()
	stopping.Wait()
}
