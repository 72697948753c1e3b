package stats

import (
	"sync/atomic"
	"time"

	"github.com/rpcx-go/rpcx/runtime/status"
)

// Method counts the calls of one method on one side. The zero value is ready.
// It may be used concurrently.
type Method struct {
	started  atomic.Uint64
	ended    [status.Unauthenticated + 1]atomic.Uint64
	sent     atomic.Uint64
	received atomic.Uint64
	latency  Histogram
}

// Start counts a call that starts.
func (m *Method) Start() { m.started.Add(1) }

// End counts a call that ended with code, took so long and moved so many bytes
// of messages.
func (m *Method) End(code status.Code, took time.Duration, sent, received int) {
	if code > status.Unauthenticated {
		code = status.Unknown
	}
	m.ended[code].Add(1)
	m.latency.Record(took)
	if sent > 0 {
		m.sent.Add(uint64(sent))
	}
	if received > 0 {
		m.received.Add(uint64(received))
	}
}

// MethodStats are the counts of one method at one moment.
type MethodStats struct {
	// Method is the full name: "/users.v1.Users/Get".
	Method string
	// Started counts calls that have started, Ended those that have ended, by code.
	Started uint64
	Ended   map[status.Code]uint64
	// BytesSent and BytesReceived count message bytes, without frames.
	BytesSent, BytesReceived uint64
	// Latency is how long ended calls took.
	Latency Latency
}

// InFlight returns how many calls have started and not ended.
func (s *MethodStats) InFlight() uint64 {
	n := s.Started
	for _, ended := range s.Ended {
		n -= min(ended, n)
	}
	return n
}

// Snapshot returns the counts as they stand, under the given name.
func (m *Method) Snapshot(name string) MethodStats {
	s := MethodStats{
		Method:        name,
		Ended:         map[status.Code]uint64{},
		BytesSent:     m.sent.Load(),
		BytesReceived: m.received.Load(),
		Latency:       m.latency.Snapshot(),
	}
	for code := range m.ended {
		if n := m.ended[code].Load(); n > 0 {
			s.Ended[status.Code(code)] = n
		}
	}
	// Last, so that it is never below the sum of those that ended.
	s.Started = m.started.Load()
	return s
}
