// Package steady bounds how long a peer may take nothing of what is written.
package steady

import (
	"errors"
	"net"
	"sync/atomic"
	"time"
)

// Conn is a connection on whose Write a deadline is one of making no progress:
// a Write goes on as long as the peer takes a little all the time. Those who
// cannot go on with a connection after a Write has run into its deadline, such
// as TLS, write to one.
type Conn struct {
	net.Conn
	stall atomic.Int64
}

// New returns a Conn that leaves deadlines alone until SetStall is called.
func New(nc net.Conn) *Conn { return &Conn{Conn: nc} }

// SetStall sets how long a Write may make no progress; zero leaves deadlines alone.
func (c *Conn) SetStall(d time.Duration) { c.stall.Store(int64(d)) }

// Write writes all of b unless the peer takes nothing for too long.
func (c *Conn) Write(b []byte) (int, error) {
	stall := time.Duration(c.stall.Load())
	done := 0
	for {
		if stall > 0 {
			if err := c.SetWriteDeadline(time.Now().Add(stall)); err != nil {
				return done, err
			}
		}
		n, err := c.Conn.Write(b[done:])
		done += n
		var network net.Error
		if err == nil || n == 0 || stall == 0 || !errors.As(err, &network) || !network.Timeout() {
			return done, err
		}
	}
}
