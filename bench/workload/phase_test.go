package workload

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestRunPhase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func() error { time.Sleep(10 * time.Millisecond); return nil }
		cell := Cell{Kind: Bidi, Bytes: 1 << 20, Callers: 3}
		got, err := RunPhase(cell, []Caller{slow, slow, slow}, nil, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if want := int64(3 * 100 * cell.MessagesPerCall()); got.Messages < want-48 || got.Messages > want+48 {
			t.Errorf("%d messages, want %d give or take a call of each caller", got.Messages, want)
		}
		if got.Elapsed < time.Second || got.Elapsed > 1010*time.Millisecond {
			t.Errorf("took %v, want a second and at most one call more", got.Elapsed)
		}
		for _, q := range []time.Duration{got.P50, got.P99, got.P999} {
			if q < 9800*time.Microsecond || q > 10200*time.Microsecond {
				t.Errorf("a quantile is %v, want 10ms", q)
			}
		}
	})
}

func TestRunPhaseEndsAtTheFirstError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		start := time.Now()
		fine := func() error { time.Sleep(time.Millisecond); return nil }
		fails := func() error { time.Sleep(5 * time.Millisecond); return broken }
		if _, err := RunPhase(Cell{Kind: Unary}, []Caller{fine, fails}, nil, time.Hour); !errors.Is(err, broken) {
			t.Errorf("error is %v, want the caller's", err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("took %v after an error", took)
		}
	})
}

func TestRunPhaseWithAStreamBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fast := func() error { time.Sleep(time.Millisecond); return nil }
		stream := func() error { time.Sleep(300 * time.Millisecond); return nil }
		cell := Cell{Kind: Mixed, Bytes: 128, Callers: 1}
		got, err := RunPhase(cell, []Caller{fast}, []Caller{stream}, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		other, _ := cell.Beside()
		if want := 4 * int64(other.MessagesPerCall()) * int64(other.Bytes); got.BesideBytes != want {
			t.Errorf("%d bytes beside the calls, want those of four streams, %d", got.BesideBytes, want)
		}
		if got.BesideElapsed != 1200*time.Millisecond || got.Elapsed > 1001*time.Millisecond {
			t.Errorf("the streams took %v, the calls %v", got.BesideElapsed, got.Elapsed)
		}
		if got.Messages < 999 || got.P99 > 2*time.Millisecond {
			t.Errorf("%d calls with a p99 of %v: the stream is among them", got.Messages, got.P99)
		}
	})
}

func TestCallOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most, calls atomic.Int64
		call := func() error {
			calls.Add(1)
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(time.Second)
			now.Add(-1)
			return nil
		}
		if err := CallOnce([]Caller{call, call, call, call, call}, 2); err != nil {
			t.Fatal(err)
		}
		if calls.Load() != 5 || most.Load() != 2 {
			t.Errorf("%d calls, %d at a time, want 5 and 2", calls.Load(), most.Load())
		}
		broken := errors.New("broken")
		fails := func() error { return broken }
		if err := CallOnce([]Caller{call, fails, call}, 1); !errors.Is(err, broken) || calls.Load() != 6 {
			t.Errorf("error is %v after %d calls more, want the second caller's", err, calls.Load()-5)
		}
	})
}
