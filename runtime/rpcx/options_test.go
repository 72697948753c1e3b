package rpcx

import (
	"testing"
	"time"

	"github.com/rpcx-go/rpcx/runtime/metadata"
)

// TestOptionsAreBroughtIntoRange: whatever is asked for, the settings are ones
// that a peer accepts.
func TestOptionsAreBroughtIntoRange(t *testing.T) {
	for _, v := range []int{-1 << 62, -1, 0, 1, 100_000, 1 << 20, 1 << 40, 1<<63 - 1} {
		for name, o := range map[string]Option{
			"WithMaxMessageSize": WithMaxMessageSize(v), "WithStreamWindow": WithStreamWindow(v),
			"WithConnWindow": WithConnWindow(v), "WithMaxMetadataSize": WithMaxMetadataSize(v),
		} {
			c := dialConfig{common: newCommon()}
			o.applyDial(&c)
			if err := c.settings.Validate(); err != nil {
				t.Errorf("%s(%d): %v", name, v, err)
			}
			s := serverConfig{common: newCommon()}
			o.applyServer(&s)
			if s.settings != c.settings {
				t.Errorf("%s(%d): a server gets %v, a connection %v", name, v, &s.settings, &c.settings)
			}
		}
		s := serverConfig{common: newCommon()}
		WithMaxStreams(v).applyServer(&s)
		if err := s.settings.Validate(); err != nil {
			t.Errorf("WithMaxStreams(%d): %v", v, err)
		}
		if WithMaxHandlers(v).applyServer(&s); s.maxHandlers < 1 {
			t.Errorf("WithMaxHandlers(%d): %d", v, s.maxHandlers)
		}
	}
	for d, want := range map[time.Duration]time.Duration{-1: 0, 0: 0, 100_000: 100_000, time.Hour: time.Millisecond} {
		c := newCommon()
		WithBusyPoll(d).(option)(&c)
		if got := c.transport().BusyPoll; got != want {
			t.Errorf("WithBusyPoll(%v): %v, want %v", d, got, want)
		}
	}
	c := newCommon()
	WithMaxMessageSize(100_000).(option)(&c)
	WithStreamWindow(100_001).(option)(&c)
	if c.settings.MaxMessage != 100_000 || c.settings.StreamCredit != 100_001 {
		t.Errorf("values within the range are kept as they are: %v", &c.settings)
	}
}

// TestCallOptions: a call's own options come after the connection's, and
// neither changes the other.
func TestCallOptions(t *testing.T) {
	conn, err := Dial("localhost:1", WithDefaultCallOptions(
		WithTimeout(time.Second), WithMetadata(metadata.Pairs("a", "1")), WithWaitForReady(true)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	own := conn.options([]CallOption{WithTimeout(time.Minute), WithMetadata(metadata.Pairs("b", "2")), WithMetadata(metadata.Pairs("c", "3"))})
	if own.Timeout != time.Minute || !own.WaitForReady || len(own.Metadata) != 3 || own.Metadata.Get("a") != "1" || own.Metadata.Get("c") != "3" {
		t.Errorf("got %+v", own)
	}
	if d := conn.options(nil); d.Timeout != time.Second || len(d.Metadata) != 1 {
		t.Errorf("the defaults became %+v", d)
	}
}
