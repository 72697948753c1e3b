package memnet

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Direction is one of the two directions of a connection, as seen by the end
// that a Fault wraps.
type Direction uint8

// The directions.
const (
	// Outbound is what the wrapped end writes.
	Outbound Direction = iota
	// Inbound is what the wrapped end reads.
	Inbound
)

// String returns "outbound" or "inbound".
func (d Direction) String() string {
	if d == Inbound {
		return "inbound"
	}
	return "outbound"
}

type kind uint8

const (
	kindFIN kind = iota
	kindRST
	kindStall
	kindFlipBit
	kindSplit
	kindDelay
)

// Action is what happens to a connection. FIN, RST, Stall, FlipBit, Split and
// Delay make actions.
type Action struct {
	kind  kind
	n     int
	delay time.Duration
}

// FIN ends the direction cleanly. Outbound: the connection's write side is
// closed, so that the peer reads EOF, and writes fail with EPIPE. Inbound:
// reads return io.EOF, and what the peer sends later stays unread. The other
// direction goes on; only a connection that cannot be half-closed is closed.
func FIN() Action { return Action{kind: kindFIN} }

// RST resets the connection: the operations of both ends fail with ECONNRESET
// and what is under way is lost. Over a connection that cannot be reset it is
// closed instead.
func RST() Action { return Action{kind: kindRST} }

// Stall stops the direction until Fault.Heal. Outbound: writes wait, as they do
// when the peer has stopped reading. Inbound: reads wait, as if nothing
// arrived. Deadlines and Close end the wait. The other direction goes on.
func Stall() Action { return Action{kind: kindStall} }

// FlipBit inverts bit k of the byte at the step's offset; 0 is the lowest bit, 7
// the highest, and larger numbers begin anew. The writer's buffer stays as it is.
func FlipBit(k int) Action { return Action{kind: kindFlipBit, n: k & 7} }

// Split cuts the direction into pieces from there on: each read and each write
// of the wrapped connection moves at most n bytes. A later Split replaces it;
// zero ends it.
func Split(n int) Action { return Action{kind: kindSplit, n: max(n, 0)} }

// Delay makes the next byte of the direction wait for d. Deadlines and Close
// end the wait.
func Delay(d time.Duration) Action { return Action{kind: kindDelay, delay: d} }

// String returns the action as it is written in Go, such as "FlipBit(3)".
func (a Action) String() string {
	switch a.kind {
	case kindFIN:
		return "FIN()"
	case kindRST:
		return "RST()"
	case kindStall:
		return "Stall()"
	case kindFlipBit:
		return fmt.Sprintf("FlipBit(%d)", a.n)
	case kindSplit:
		return fmt.Sprintf("Split(%d)", a.n)
	}
	return fmt.Sprintf("Delay(%v)", a.delay)
}

// Step is one fault of a script: what happens, and where in the stream.
type Step struct {
	// In is the direction whose bytes are counted and, but for RST, affected.
	In Direction
	// After is how many bytes have passed in that direction when it happens. A
	// step whose place has passed already happens at the next byte, except
	// FlipBit, which is then lost.
	After int64
	// Every, if above zero, repeats the step after that many bytes each.
	Every int64
	// Do is what happens.
	Do Action
}

// String returns the step in words, such as "outbound after 100: RST()".
func (s Step) String() string {
	if s.Every > 0 {
		return fmt.Sprintf("%v after %d and every %d: %v", s.In, s.After, s.Every, s.Do)
	}
	return fmt.Sprintf("%v after %d: %v", s.In, s.After, s.Do)
}

// RandomScript says which scripts RandomSteps draws. The zero value of a field
// means what its comment says.
type RandomScript struct {
	// Steps is how many faults there are; zero means 8.
	Steps int
	// Within is the offset below which they happen; zero means 64 KiB.
	Within int64
	// MaxDelay is the longest Delay; zero means that there are none.
	MaxDelay time.Duration
	// MaxPiece is the largest Split; zero means 16 bytes.
	MaxPiece int
	// Flips allows FlipBit, and Breaks allows FIN, RST and Stall.
	Flips, Breaks bool
}

// RandomSteps draws a script of both directions. The same seed and script give
// the same steps, for as long as the version of this module is the same, so
// that a failed simulation can be run again. Print the steps with its seed.
func RandomSteps(seed uint64, script RandomScript) []Step {
	kinds := []func(*rand.Rand) Action{
		func(r *rand.Rand) Action { return Split(1 + r.IntN(orDefault(script.MaxPiece, 16))) },
		func(*rand.Rand) Action { return Split(0) },
	}
	if script.MaxDelay > 0 {
		kinds = append(kinds, func(r *rand.Rand) Action { return Delay(1 + time.Duration(r.Int64N(int64(script.MaxDelay)))) })
	}
	if script.Flips {
		kinds = append(kinds, func(r *rand.Rand) Action { return FlipBit(r.IntN(8)) })
	}
	if script.Breaks {
		kinds = append(kinds, func(r *rand.Rand) Action {
			return []Action{FIN(), RST(), Stall()}[r.IntN(3)]
		})
	}
	r := rand.New(rand.NewPCG(seed, 0))
	steps := make([]Step, orDefault(script.Steps, 8))
	for i := range steps {
		steps[i] = Step{
			In:    Direction(r.IntN(2)),
			After: r.Int64N(orDefault(script.Within, DefaultBuffer)),
			Do:    kinds[r.IntN(len(kinds))](r),
		}
	}
	slices.SortStableFunc(steps, func(a, b Step) int {
		if a.In != b.In {
			return int(a.In) - int(b.In)
		}
		return int(a.After - b.After)
	})
	return steps
}

// FormatSteps returns a script one step a line, for the message of a failed test.
func FormatSteps(steps []Step) string {
	var b strings.Builder
	for _, s := range steps {
		fmt.Fprintln(&b, s)
	}
	return b.String()
}

func orDefault[N int | int64](n, def N) N {
	if n > 0 {
		return n
	}
	return def
}
