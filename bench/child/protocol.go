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
	// Addr is where the client finds the server.
	Addr string `json:"addr,omitempty"`
}

// command is one line to a child. Each is answered by one reply.
type command struct {
	Op op `json:"op"`
	// Length is how long opRun runs.
	Length time.Duration `json:"length_ns,omitempty"`
	// File is where opProfile writes.
	File string `json:"file,omitempty"`
}

type op string

const (
	// opRun lets the client's callers call.
	opRun op = "run"
	// opCollect collects garbage, so that a phase does not pay for the one before it.
	opCollect op = "collect"
	// opUsage asks what the process has spent.
	opUsage op = "usage"
	// opProfile begins a CPU profile.
	opProfile op = "profile"
	// opProfileEnd ends and writes it.
	opProfileEnd op = "profile-end"
)

// reply is one line from a child; the first, without a command, says that it is ready.
type reply struct {
	// Error says why the command failed.
	Error string `json:"error,omitempty"`
	// Addr is where a server listens; it comes with the first reply.
	Addr  string         `json:"addr,omitempty"`
	Usage measure.Usage  `json:"usage,omitzero"`
	Phase workload.Phase `json:"phase,omitzero"`
}
