// Package memnet is a network in memory, and connections that fail on purpose.
// Package rpcxtest offers all of it to users; it stands apart so that tests of
// packages that rpcxtest imports may use it too.
//
// Everything works under testing/synctest: what blocks, blocks durably, and no
// goroutine or timer outlives the operation or connection it belongs to.
package memnet

import (
	"context"
	"fmt"
	"net"
	"sync"
	"syscall"
)

const (
	// DefaultBuffer is how many bytes a connection holds in each direction.
	DefaultBuffer = 64 << 10
	// backlog is how many connections wait to be accepted before Dial waits.
	backlog = 128
	// anyAddr is the name of the listener that gets what no other is named for.
	anyAddr = "*"
)

// Addr is the address of one end of a connection in memory: a name of any form.
type Addr string

// Network returns "mem".
func (Addr) Network() string { return "mem" }

// String returns the name.
func (a Addr) String() string { return string(a) }

// Network is a network in memory. Its zero value is ready for use. Its methods
// may be called concurrently; its fields are set before the first of them.
type Network struct {
	// Buffer is how many bytes a connection holds in each direction before
	// writes block; zero means DefaultBuffer.
	Buffer int
	// GracefulClose has a closed connection always end cleanly: the peer reads
	// all that was sent, then EOF, and writes fail. By default closing is what it
	// is with TCP, see Conn.Close.
	GracefulClose bool
	// WrapDial and WrapAccept, if not nil, replace the ends of new connections,
	// for instance by NewFault. They are called before the end is handed out.
	WrapDial, WrapAccept func(*Conn) net.Conn

	mu        sync.Mutex
	listeners map[string]*listener
	links     map[*link]struct{}
	dialed    int
}

// Listener returns a listener for all addresses that have none of their own:
// enough for tests with one server. It panics while an earlier one is open.
func (n *Network) Listener() net.Listener {
	l, err := n.Listen(anyAddr)
	if err != nil {
		panic(fmt.Sprintf("memnet: %v", err))
	}
	return l
}

// Listen returns a listener for the address addr, which may have any form. It
// fails while another one is open for it.
func (n *Network) Listen(addr string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[addr] != nil {
		return nil, &net.OpError{Op: "listen", Net: "mem", Addr: Addr(addr), Err: syscall.EADDRINUSE}
	}
	if n.listeners == nil {
		n.listeners = make(map[string]*listener)
	}
	l := &listener{net: n, addr: Addr(addr)}
	n.listeners[addr] = l
	return l, nil
}

// Dial connects to the listener for addr, or else to the one that Listener
// returned; without either, the connection is refused. As with TCP it returns
// before the connection is accepted, and waits only while many others wait to
// be. The network's name is not looked at. Its signature fits rpcx.WithDialer.
func (n *Network) Dial(ctx context.Context, _, addr string) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "mem", Addr: Addr(addr), Err: err}
	}
	for {
		if err := ctx.Err(); err != nil {
			return fail(err)
		}
		n.mu.Lock()
		l := n.listeners[addr]
		if l == nil {
			l = n.listeners[anyAddr]
		}
		if l == nil {
			n.mu.Unlock()
			return fail(syscall.ECONNREFUSED)
		}
		if len(l.queue) < backlog {
			c := n.connectLocked(l, Addr(addr))
			n.mu.Unlock()
			if n.WrapDial != nil {
				return n.WrapDial(c), nil
			}
			return c, nil
		}
		changed := l.changed.wait()
		n.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// connectLocked makes a connection, queues one end for l and returns the other.
func (n *Network) connectLocked(l *listener, addr Addr) *Conn {
	n.dialed++
	from := Addr(fmt.Sprintf("client-%d", n.dialed))
	dialed, accepted := newLink(n.buffer(), n.GracefulClose, from, addr)
	lk := dialed.link
	if n.links == nil {
		n.links = make(map[*link]struct{})
	}
	n.links[lk] = struct{}{}
	lk.onClose = func() {
		n.mu.Lock()
		delete(n.links, lk)
		n.mu.Unlock()
	}
	l.queue = append(l.queue, accepted)
	l.changed.wake()
	return dialed
}

// ResetConns resets every open connection, as if the network had failed.
// Listeners stay.
func (n *Network) ResetConns() {
	n.mu.Lock()
	links := make([]*link, 0, len(n.links))
	for lk := range n.links {
		links = append(links, lk)
	}
	clear(n.links)
	n.mu.Unlock()
	for _, lk := range links {
		lk.mu.Lock()
		lk.resetLocked()
		lk.mu.Unlock()
	}
}

func (n *Network) buffer() int {
	if n.Buffer > 0 {
		return n.Buffer
	}
	return DefaultBuffer
}

// listener hands out the accepting ends. Its network's mutex guards it.
type listener struct {
	net     *Network
	addr    Addr
	queue   []*Conn
	closed  bool
	changed signal
}

// Accept waits for a connection.
func (l *listener) Accept() (net.Conn, error) {
	for {
		l.net.mu.Lock()
		if l.closed {
			l.net.mu.Unlock()
			return nil, &net.OpError{Op: "accept", Net: "mem", Addr: l.addr, Err: net.ErrClosed}
		}
		if len(l.queue) > 0 {
			c := l.queue[0]
			l.queue = l.queue[1:]
			l.changed.wake()
			l.net.mu.Unlock()
			if l.net.WrapAccept != nil {
				return l.net.WrapAccept(c), nil
			}
			return c, nil
		}
		changed := l.changed.wait()
		l.net.mu.Unlock()
		<-changed
	}
}

// Close stops listening and resets the connections that were not accepted.
func (l *listener) Close() error {
	l.net.mu.Lock()
	if l.closed {
		l.net.mu.Unlock()
		return &net.OpError{Op: "close", Net: "mem", Addr: l.addr, Err: net.ErrClosed}
	}
	l.closed = true
	delete(l.net.listeners, string(l.addr))
	queue := l.queue
	l.queue = nil
	l.changed.wake()
	l.net.mu.Unlock()
	for _, c := range queue {
		_ = c.Reset() // nobody has closed this end
	}
	return nil
}

// Addr returns the address listened on.
func (l *listener) Addr() net.Addr { return l.addr }
