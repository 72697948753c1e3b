package rpcxtest_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
)

func TestRecorder(t *testing.T) {
	var r rpcxtest.Recorder[int]
	if r.Calls() != nil || r.Count() != 0 {
		t.Errorf("a new recorder has %v", r.Calls())
	}
	r.Record(1)
	first := r.Calls()
	r.Record(2)
	first[0] = 9
	if got := r.Calls(); !slices.Equal(got, []int{1, 2}) || r.Count() != 2 {
		t.Errorf("recorded %v, count %d", got, r.Count())
	}
	r.Reset()
	if r.Count() != 0 {
		t.Errorf("%d calls after Reset", r.Count())
	}
}

func TestRecorderConcurrently(t *testing.T) {
	var r rpcxtest.Recorder[int]
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			r.Record(i)
			r.Calls()
		})
	}
	wg.Wait()
	got := r.Calls()
	slices.Sort(got)
	if r.Count() != 50 || got[0] != 0 || got[49] != 49 {
		t.Errorf("recorded %v", got)
	}
}
