package workload

import (
	"fmt"
	"net"
	"slices"
	"strings"
)

// A Peer is one framework, in one configuration, that answers the service of
// proto/echo. It is run in two processes: one serves, the other dials.
type Peer struct {
	// Name is how flags and results call it.
	Name string
	// Kinds are the kinds of methods it has; cells of other kinds leave it out.
	Kinds []Kind
	// Serve answers on lis until the process ends. It returns only to say why it cannot.
	Serve func(lis net.Listener) error
	// Dial connects to a server and returns what makes the callers of a cell.
	// The connection lasts until the process ends.
	Dial func(addr string, cell Cell) (NewCaller, error)
}

// NewCaller makes the callers of a cell; it is called once for each, before
// any of them runs.
type NewCaller func() (Caller, error)

// A Caller makes one call, waits for its end and checks what came back. It is
// called by one goroutine.
type Caller func() error

// Supports reports whether the peer has a kind of method.
func (p Peer) Supports(k Kind) bool { return slices.Contains(p.Kinds, k) }

var peers = map[string]Peer{}

// Register adds a peer. Each peer's file calls it from an init function.
func Register(p Peer) {
	if _, ok := peers[p.Name]; ok {
		panic("peer " + p.Name + " is registered twice")
	}
	peers[p.Name] = p
}

// FindPeer returns the peer of that name.
func FindPeer(name string) (Peer, error) {
	p, ok := peers[name]
	if !ok {
		var names []string
		for n := range peers {
			names = append(names, n)
		}
		slices.Sort(names)
		return Peer{}, fmt.Errorf("no peer %q; there are %s", name, strings.Join(names, ", "))
	}
	return p, nil
}
