// Package harness is what the floors need of the harness that they were written
// for: how a peer is described. The benchmark's own processes run them.
package harness

// Opts is what a client is told.
type Opts struct {
	Addr string // where the server listens, on TCP
	Conc int    // how many callers there will be
	Size int    // of a message's payload in bytes
	Kind string // unary, sstream or bidi
}

// CallFunc makes one call, or for streams as many messages as were asked for.
type CallFunc func() error

// Peer is a floor: a server, and clients of it.
type Peer struct {
	// Serve starts the server and returns the address that it listens on.
	Serve func() (addr string, err error)
	// Dial connects and returns what makes the unary calls of each caller.
	Dial func(o Opts) (func(w int) CallFunc, error)
	// Stream is Dial for calls that bring n messages each.
	Stream func(o Opts, n int) (func(w int) CallFunc, error)
	// Conns opens n connections that stay as long as what it returns.
	Conns func(o Opts, n int) (any, error)
}

// Peers are the floors by name.
var Peers = map[string]Peer{}

// ExtraStats counts what a floor did; nobody asks for it here.
var ExtraStats func() map[string]int64

// Payload returns bytes that are the same each time and compress poorly.
func Payload(n int) []byte {
	b := make([]byte, n)
	x := uint64(88172645463325252)
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	return b
}
