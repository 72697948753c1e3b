package call

import (
	"net"
	"time"
)

// Observer is told of what happens: the seam for statistics, tracing and
// consoles. Its methods are called concurrently, on the goroutines that do the
// work, and must return quickly. Embed NopObserver, so that methods added later
// do not break the build.
type Observer interface {
	// CallStarted is called when a call starts, before its interceptors.
	CallStarted(Info)
	// CallEnded is called once for each CallStarted.
	CallEnded(Info, Result)
	// AttemptStarted is called when a client sends a call to an endpoint; a
	// call that is sent again has several attempts.
	AttemptStarted(Info)
	// AttemptEnded is called once for each AttemptStarted.
	AttemptEnded(Info, Result)
	// ConnOpened is called when a connection has been accepted or dialed.
	ConnOpened(ConnInfo)
	// ConnClosed is called once for each ConnOpened; err is nil if the
	// connection was closed on purpose.
	ConnClosed(ConnInfo, error)
}

// Info identifies a call or an attempt.
type Info struct {
	Method *Method
	Side   Side
	Peer   Peer
	// Start is when the call or attempt started.
	Start time.Time
	// Attempt counts from 0; it is 0 for calls.
	Attempt int
}

// Result is how a call or an attempt ended.
type Result struct {
	// Err is the call's error, nil if it succeeded. status.CodeOf tells its code.
	Err error
	// Duration is the time from Info.Start to the end.
	Duration time.Duration
	// BytesSent and BytesReceived count message bytes as sent, without frames.
	BytesSent, BytesReceived int64
}

// ConnInfo identifies a connection.
type ConnInfo struct {
	Side          Side
	Local, Remote net.Addr
	Protocol      string
	Opened        time.Time
}

// NopObserver does nothing. Embed it in observers.
type NopObserver struct{}

// CallStarted does nothing.
func (NopObserver) CallStarted(Info) {}

// CallEnded does nothing.
func (NopObserver) CallEnded(Info, Result) {}

// AttemptStarted does nothing.
func (NopObserver) AttemptStarted(Info) {}

// AttemptEnded does nothing.
func (NopObserver) AttemptEnded(Info, Result) {}

// ConnOpened does nothing.
func (NopObserver) ConnOpened(ConnInfo) {}

// ConnClosed does nothing.
func (NopObserver) ConnClosed(ConnInfo, error) {}
