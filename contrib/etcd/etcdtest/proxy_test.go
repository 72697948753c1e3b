package etcdtest_test

import (
	"io"
	"net"
	"sync"
	"testing"
)

// proxy is a way to a server that can be cut.
type proxy struct {
	addr, to string
	listener net.Listener

	mu      sync.Mutex
	broken  bool
	conns   []net.Conn
	running sync.WaitGroup
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String(), to: to, listener: l}
	p.running.Go(p.accept)
	t.Cleanup(func() { l.Close(); p.cut(); p.running.Wait() })
	return p
}

func (p *proxy) accept() {
	for {
		from, err := p.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", p.to)
		if err != nil {
			from.Close()
			continue
		}
		p.mu.Lock()
		if p.broken {
			from.Close()
			to.Close()
		}
		p.conns = append(p.conns, from, to)
		p.mu.Unlock()
		for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
			p.running.Go(func() {
				io.Copy(pair[0], pair[1])
				pair[0].Close()
			})
		}
	}
}

// cut closes all connections and those that come.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = true
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

func (p *proxy) mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = false
}

// open reports whether there is a connection.
func (p *proxy) open() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.broken && len(p.conns) > 0
}
