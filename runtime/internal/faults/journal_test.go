package faults

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// TestJournal shows that each promise can be seen broken.
func TestJournal(t *testing.T) {
	unavailable := status.New(status.Unavailable, "gone")
	order := Order{ID: 7, Kind: Once, Timeout: time.Second}
	ran := func(j *Journal, o Order, times int) {
		for range times {
			j.handlerStarted(o)
			j.handlerReturned(o, nil)
		}
	}
	for _, tt := range []struct {
		name string
		do   func(j *Journal, o Order)
		want string // empty: nothing is wrong
	}{
		{"a good call", func(j *Journal, o Order) { ran(j, o, 1); j.ended(o, nil) }, ""},
		{"one that may have run", func(j *Journal, o Order) { ran(j, o, 1); j.ended(o, unavailable) }, ""},
		{"one that never ran", func(j *Journal, o Order) { j.ended(o, unavailable.WithNotRun()) }, ""},
		{"no end", func(j *Journal, o Order) { ran(j, o, 1) }, "ended 0 times"},
		{"two ends", func(j *Journal, o Order) { ran(j, o, 1); j.ended(o, nil); j.ended(o, nil) }, "ended 2 times"},
		{"a late end", func(j *Journal, o Order) { time.Sleep(1051 * time.Millisecond); j.ended(o, unavailable) }, "its limit is 1.05s"},
		{"success of nobody", func(j *Journal, o Order) { j.ended(o, nil) }, "never started"},
		{"run twice", func(j *Journal, o Order) { ran(j, o, 2); j.ended(o, nil) }, "ran 2 times"},
		{"untrue", func(j *Journal, o Order) { ran(j, o, 1); j.ended(o, unavailable.WithNotRun()) }, "says that it never ran"},
		{"no type", func(j *Journal, o Order) { ran(j, o, 1); j.ended(o, errors.New("gone")) }, "without type"},
		{"unknown", func(j *Journal, o Order) { j.ended(o, status.New(status.Unknown, "?")) }, "nothing explains"},
		{"too early", func(j *Journal, o Order) { j.ended(o, status.FromError(context.DeadlineExceeded)) }, "nothing explains"},
		{"not canceled", func(j *Journal, o Order) { j.ended(o, status.FromError(context.Canceled)) }, "nothing explains"},
		{"a handler that stays", func(j *Journal, o Order) { j.handlerStarted(o); j.ended(o, nil) }, "0 returned"},
		{"an observer that waits", func(j *Journal, o Order) { ran(j, o, 1); j.ended(o, nil); j.CallStarted(call.Info{}) }, "1 calls start and 0 end"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := NewJournal()
				j.called(order)
				tt.do(j, order)
				wrong := strings.Join(j.Check(), "\n")
				if (tt.want == "") != (wrong == "") || !strings.Contains(wrong, tt.want) {
					t.Errorf("the journal says %q, want %q", wrong, tt.want)
				}
			})
		})
	}
}

// TestVerify shows that a message is only ever itself.
func TestVerify(t *testing.T) {
	const id, n, size = 300, 2, 700
	good := body(id, fromCallee, n, size)
	if err := verify(good, id, fromCallee, n, size); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		for bit := range 8 {
			b := body(id, fromCallee, n, size)
			b[i] ^= 1 << bit
			if verify(b, id, fromCallee, n, size) == nil {
				t.Fatalf("bit %d of byte %d goes unnoticed", bit, i)
			}
		}
	}
	for name, b := range map[string][]byte{
		"short": good[:size-1], "another call": body(id+1, fromCallee, n, size),
		"another message": body(id, fromCallee, n+1, size), "the other way": body(id, fromCaller, n, size),
	} {
		if verify(b, id, fromCallee, n, size) == nil {
			t.Errorf("%s: unnoticed", name)
		}
	}
}
