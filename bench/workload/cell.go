// Package workload says what is run: the cells of the comparison, the peers
// that take part in it, and what one caller of a peer does.
package workload

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
)

// Kind is the kind of method that a cell calls.
type Kind string

// The kinds. For the streaming ones a call is a whole stream, and the figures
// per call are per message.
const (
	Unary        Kind = "unary"
	ServerStream Kind = "sstream"
	Bidi         Kind = "bidi"
)

// A Cell is one row of the comparison. Its text form is kind/bytes/callers,
// such as unary/128/64.
type Cell struct {
	Kind Kind
	// Bytes is the size of a message's payload.
	Bytes int
	// Callers is how many goroutines call at once, over one connection where
	// the peer can.
	Callers int
}

// ParseCell reads the text form of a cell.
func ParseCell(s string) (Cell, error) {
	parts := strings.Split(s, "/")
	if len(parts) != 3 {
		return Cell{}, fmt.Errorf("cell %q: want kind/bytes/callers, such as unary/128/64", s)
	}
	c := Cell{Kind: Kind(parts[0])}
	switch c.Kind {
	case Unary, ServerStream, Bidi:
	default:
		return Cell{}, fmt.Errorf("cell %q: kind %q is none of unary, sstream, bidi", s, c.Kind)
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

// MessagesPerCall returns how many messages a call carries from the server:
// one, or as many as make a stream long beside its opening, by size.
func (c Cell) MessagesPerCall() int {
	if c.Kind == Unary {
		return 1
	}
	const most, least, volume = 10_000, 32, 8 << 20
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
