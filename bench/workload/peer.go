package workload

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
)

// A Peer is one framework, in one configuration, that answers the service of
// proto/echo. It is run in two processes: one serves, the other dials.
type Peer struct {
	// Name is how flags and results call it.
	Name string
	// Order is its place in reports: peers with smaller ones come first.
	Order int
	// Floor marks what is no framework but a lower limit.
	Floor bool
	// Kinds are the kinds of cells it can do; others leave it out.
	Kinds []Kind
	// Fits leaves it out of further cells; nil: of none.
	Fits func(Cell) bool
	// Serve answers on the listener until the process ends. It returns only to
	// say why it cannot.
	Serve func(Listener) error
	// Listen stands for Serve where the server makes its own listener.
	Listen func() (addr string, err error)
	// Dial returns a client of a server.
	Dial func(Target) (Client, error)
}

// A Listener is what a server listens on.
type Listener struct {
	net.Listener
	// TLS is how connections are secured; nil: they are plain.
	TLS *tls.Config
}

// Secured returns the listener with TLS in front of it, if any, for servers
// that know nothing of it.
func (l Listener) Secured() net.Listener {
	if l.TLS == nil {
		return l.Listener
	}
	return tls.NewListener(l.Listener, l.TLS)
}

// A Target is where a client finds the server.
type Target struct {
	Network, Addr string
	// TLS is how connections are secured; nil: they are plain.
	TLS *tls.Config
}

// Connect returns a connection, for clients that want one to be given.
func (t Target) Connect() (net.Conn, error) {
	if t.TLS == nil {
		return net.Dial(t.Network, t.Addr)
	}
	return tls.Dial(t.Network, t.Addr, t.TLS)
}

// A Client is one connection to a server, or what else the peer shares between
// callers.
type Client interface {
	// NewCaller returns a caller for the cell; none has run before the last is made.
	NewCaller(Cell) (Caller, error)
	// Close ends the connection; nobody calls then.
	Close() error
}

// A Caller makes one call, waits for its end and checks what came back. It is
// called by one goroutine.
type Caller func() error

// Supports reports whether the peer takes part in a cell.
func (p Peer) Supports(c Cell) bool {
	return slices.Contains(p.Kinds, c.Kind) && (p.Fits == nil || p.Fits(c))
}

// Callers returns a cell's callers, and those that work beside them.
func (p Peer) Callers(to Target, cell Cell) (callers, beside []Caller, err error) {
	if cell.Kind == Short {
		for range cell.Callers {
			callers = append(callers, func() error { return p.callOnce(to, cell) })
		}
		return callers, nil, nil
	}
	if cell.Kind == Idle {
		for range cell.Callers {
			callers = append(callers, func() error { return p.callAndStay(to, cell) })
		}
		return callers, nil, nil
	}
	client, err := p.Dial(to)
	if err != nil {
		return nil, nil, err
	}
	if other, ok := cell.Beside(); ok {
		call, err := client.NewCaller(other)
		if err != nil {
			return nil, nil, err
		}
		beside = append(beside, call)
	}
	for range cell.Callers {
		call, err := client.NewCaller(cell)
		if err != nil {
			return nil, nil, err
		}
		callers = append(callers, call)
	}
	return callers, beside, nil
}

// callOnce makes a call over a connection of its own.
func (p Peer) callOnce(to Target, cell Cell) error {
	client, err := p.Dial(to)
	if err != nil {
		return err
	}
	call, err := client.NewCaller(cell)
	if err == nil {
		err = call()
	}
	return errors.Join(err, client.Close())
}

var (
	stayingMu sync.Mutex
	staying   []Client // connections that last as long as the process
)

// callAndStay makes a call over a connection that stays.
func (p Peer) callAndStay(to Target, cell Cell) error {
	client, err := p.Dial(to)
	if err != nil {
		return err
	}
	stayingMu.Lock()
	staying = append(staying, client)
	stayingMu.Unlock()
	call, err := client.NewCaller(cell)
	if err != nil {
		return err
	}
	return call()
}

var peers = map[string]Peer{}

// Register adds a peer. Each peer's file calls it from an init function.
func Register(p Peer) {
	if _, ok := peers[p.Name]; ok {
		panic("peer " + p.Name + " is registered twice")
	}
	peers[p.Name] = p
}

// Peers returns all peers in the order of reports.
func Peers() []Peer {
	var all []Peer
	for _, p := range peers {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b Peer) int {
		if a.Order != b.Order {
			return a.Order - b.Order
		}
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return all
}

// FindPeer returns the peer of that name.
func FindPeer(name string) (Peer, error) {
	p, ok := peers[name]
	if !ok {
		return Peer{}, fmt.Errorf("no peer %q", name)
	}
	return p, nil
}
