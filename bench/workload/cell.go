// Package workload says what is run: the cells of the comparison, the peers
// that take part in it, and what one caller of a peer does.
package workload

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Kind is the kind of work that a cell measures.
type Kind string

// The kinds. For streams a call is a whole stream, and the figures per call are
// per message.
const (
	Unary        Kind = "unary"
	ServerStream Kind = "sstream"
	Bidi         Kind = "bidi"
	// TLS and Unix are unary calls over TLS and over a Unix socket.
	TLS  Kind = "tls"
	Unix Kind = "unix"
	// Mixed is small unary calls beside a server stream of large messages, on
	// one connection where the peer can.
	Mixed Kind = "mixed"
	// Short is unary calls with a connection each.
	Short Kind = "short"
	// Idle is connections that have made a call and are silent; Slow is unary
	// calls whose handlers wait. Both measure the server's memory.
	Idle Kind = "idle"
	Slow Kind = "slow"
)

// Kinds are all kinds.
var Kinds = []Kind{Unary, ServerStream, Bidi, TLS, Unix, Mixed, Short, Idle, Slow}

// besideBytes is the size of the messages beside the calls of a mixed load: 4 MiB
// and little enough less to fit the limits that most peers have by default.
const besideBytes = 4<<20 - 1<<10

// A Cell is one row of the comparison. Its text form is kind/bytes/callers,
// such as unary/128/64.
type Cell struct {
	Kind Kind
	// Bytes is the size of a message's payload.
	Bytes int
	// Callers is how many goroutines call at once, over one connection where
	// the peer can; for Idle how many connections there are, for Slow how many calls.
	Callers int
}

// ParseCell reads the text form of a cell.
func ParseCell(s string) (Cell, error) {
	parts := strings.Split(s, "/")
	if len(parts) != 3 {
		return Cell{}, fmt.Errorf("cell %q: want kind/bytes/callers, such as unary/128/64", s)
	}
	c := Cell{Kind: Kind(parts[0])}
	if !slices.Contains(Kinds, c.Kind) {
		return Cell{}, fmt.Errorf("cell %q: kind %q is none of %v", s, c.Kind, Kinds)
	}
	var err error
	if c.Bytes, err = strconv.Atoi(parts[1]); err != nil || c.Bytes < 0 {
		return Cell{}, fmt.Errorf("cell %q: %q is no size in bytes", s, parts[1])
	}
	if c.Callers, err = strconv.Atoi(parts[2]); err != nil || c.Callers < 1 {
		return Cell{}, fmt.Errorf("cell %q: %q is no number of callers", s, parts[2])
	}
	return c, nil
}

// String returns the text form.
func (c Cell) String() string { return fmt.Sprintf("%s/%d/%d", c.Kind, c.Bytes, c.Callers) }

// Method returns the kind of method that the callers call: Unary, ServerStream
// or Bidi.
func (c Cell) Method() Kind {
	if c.Kind == ServerStream || c.Kind == Bidi {
		return c.Kind
	}
	return Unary
}

// Network returns the network of the connections.
func (c Cell) Network() string {
	if c.Kind == Unix {
		return "unix"
	}
	return "tcp"
}

// IsMemory reports whether memory is measured instead of time.
func (c Cell) IsMemory() bool { return c.Kind == Idle || c.Kind == Slow }

// Beside returns the cell of the one caller that works beside the others,
// unmeasured, and whether there is one.
func (c Cell) Beside() (Cell, bool) {
	return Cell{Kind: ServerStream, Bytes: besideBytes, Callers: 1}, c.Kind == Mixed
}

// MessagesPerCall returns how many messages a call carries from the server:
// one, or as many as make a stream long beside its opening, by size.
func (c Cell) MessagesPerCall() int {
	if c.Method() == Unary {
		return 1
	}
	const most, least, volume = 10_000, 16, 8 << 20
	return min(most, max(least, volume/max(1, c.Bytes)))
}

var (
	payloadMu sync.Mutex
	payload   []byte
)

// Payload returns n bytes that are the same every time and do not compress.
// All who ask share them, so nobody may change them.
func Payload(n int) []byte {
	payloadMu.Lock()
	defer payloadMu.Unlock()
	if n > len(payload) {
		var seed [32]byte
		payload = make([]byte, n)
		// It never fails.
		_, _ = rand.NewChaCha8(seed).Read(payload)
	}
	return payload[:n:n]
}
