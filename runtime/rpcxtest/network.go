package rpcxtest

import (
	"net"
	"time"

	"github.com/rpcx-go/rpcx/runtime/rpcxtest/memnet"
)

// What package memnet defines, under the names by which tests use it.
type (
	// Network is a network in memory; see [memnet.Network].
	Network = memnet.Network
	// Conn is one end of a connection in memory; see [memnet.Conn].
	Conn = memnet.Conn
	// Fault is a connection that fails on purpose; see [memnet.Fault].
	Fault = memnet.Fault
	// Step is one fault of a script; see [memnet.Step].
	Step = memnet.Step
	// Action is what happens to a connection; see [memnet.Action].
	Action = memnet.Action
	// Direction is one of the two directions of a connection.
	Direction = memnet.Direction
	// RandomScript says which scripts RandomSteps draws; see [memnet.RandomScript].
	RandomScript = memnet.RandomScript
)

// The directions of a Fault, as seen by the end that it wraps.
const (
	// Outbound is what the wrapped end writes.
	Outbound = memnet.Outbound
	// Inbound is what the wrapped end reads.
	Inbound = memnet.Inbound
)

// NewNetwork returns a network in memory. Servers serve its Listener, clients
// dial with its Dial:
//
//	network := rpcxtest.NewNetwork()
//	go srv.Serve(network.Listener())
//	conn, err := rpcx.Dial("users:7000", rpcx.WithDialer(network.Dial))
func NewNetwork() *Network { return new(Network) }

// NewFault wraps conn so that it fails as the steps say. To have each dialed
// connection of a Network fail, set its WrapDial.
func NewFault(conn net.Conn, steps ...Step) *Fault { return memnet.NewFault(conn, steps...) }

// FIN ends a direction cleanly; see [memnet.FIN].
func FIN() Action { return memnet.FIN() }

// RST resets the connection; see [memnet.RST].
func RST() Action { return memnet.RST() }

// Stall stops a direction until Fault.Heal; see [memnet.Stall].
func Stall() Action { return memnet.Stall() }

// FlipBit inverts a bit of the byte at the step's offset; see [memnet.FlipBit].
func FlipBit(k int) Action { return memnet.FlipBit(k) }

// Split cuts a direction into pieces of at most n bytes; see [memnet.Split].
func Split(n int) Action { return memnet.Split(n) }

// Delay makes the next byte of a direction wait for d; see [memnet.Delay].
func Delay(d time.Duration) Action { return memnet.Delay(d) }

// RandomSteps draws a script from a seed; see [memnet.RandomSteps].
func RandomSteps(seed uint64, script RandomScript) []Step { return memnet.RandomSteps(seed, script) }
