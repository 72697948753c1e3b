package workload

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestRunPhase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func() error { time.Sleep(10 * time.Millisecond); return nil }
		cell := Cell{Kind: Bidi, Bytes: 1 << 20, Callers: 3}
		got, err := RunPhase(cell, []Caller{slow, slow, slow}, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if want := int64(3 * 100 * cell.MessagesPerCall()); got.Messages < want-96 || got.Messages > want+96 {
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
		if _, err := RunPhase(Cell{Kind: Unary}, []Caller{fine, fails}, time.Hour); !errors.Is(err, broken) {
			t.Errorf("error is %v, want the caller's", err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("took %v after an error", took)
		}
	})
}
