// Package child runs the two processes of a measurement: one serves a peer,
// the other calls it. The benchmark starts itself for both and talks to them
// in lines of JSON over their standard input and output. A child ends when its
// input does, so that none outlives the benchmark.
package child

import (
	"time"

	"github.com/rpcx-go/rpcx/bench/measure"
	"github.com/rpcx-go/rpcx/bench/workload"
)

// Role says what a child does.
type Role string

// The roles.
const (
	Server Role = "server"
	Client Role = "client"
)

// Config is what a child is started with, as its only argument in JSON.
type Config struct {
	Role Role          `json:"role"`
	Peer string        `json:"peer"`
	Cell workload.Cell `json:"cell"`
	// Socket is where a server listens on a Unix socket.
	Socket string `json:"socket,omitempty"`
	// Hello is what the server said, for the client.
	Hello Hello `json:"hello,omitzero"`
}

// Hello is what a server says about itself.
type Hello struct {
	// Addr is where it listens.
	Addr string `json:"addr"`
	// Certificate is what its certificate is checked with, in PEM; nil: it has no TLS.
	Certificate []byte `json:"certificate,omitempty"`
}

// command is one line to a child. Each is answered by one reply.
type command struct {
	Op op `json:"op"`
	// Length is how long opRun runs.
	Length time.Duration `json:"length_ns,omitempty"`
	// Count is how many callers opOnce calls, and how many at a time, or how many
	// calls opAwait waits for.
	Count  int `json:"count,omitempty"`
	AtOnce int `json:"at_once,omitempty"`
	// File is where opProfile writes.
	File string `json:"file,omitempty"`
}

type op string

const (
	// opRun lets the client's callers call.
	opRun op = "run"
	// opOnce lets each of the client's first callers make one call.
	opOnce op = "once"
	// opCollect collects garbage, so that a phase does not pay for the one before it.
	opCollect op = "collect"
	// opUsage asks what the process has spent.
	opUsage op = "usage"
	// opMemory asks how much memory is resident after collections.
	opMemory op = "memory"
	// opHold makes the server's handlers wait, opAwait waits until a number of
	// them does, opRelease lets them go.
	opHold    op = "hold"
	opAwait   op = "await"
	opRelease op = "release"
	// opProfile begins a CPU profile.
	opProfile op = "profile"
	// opProfileEnd ends and writes it.
	opProfileEnd op = "profile-end"
)

// reply is one line from a child; the first, without a command, says that it is ready.
type reply struct {
	// Error says why the command failed.
	Error string `json:"error,omitempty"`
	// Hello comes with a server's first reply.
	Hello  Hello          `json:"hello,omitzero"`
	Usage  measure.Usage  `json:"usage,omitzero"`
	Memory int64          `json:"memory,omitempty"` // bytes
	Phase  workload.Phase `json:"phase,omitzero"`
}
