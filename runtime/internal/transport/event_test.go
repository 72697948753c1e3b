package transport

import (
	"sync"
	"testing"
)

func TestEvent(t *testing.T) {
	var e event
	if e.happened() {
		t.Error("it has happened before it did")
	}
	early := e.done()
	select {
	case <-early:
		t.Error("those who wait are told before it happens")
	default:
	}
	e.happen()
	e.happen()
	if !e.happened() {
		t.Error("it has not happened after it did")
	}
	for name, c := range map[string]<-chan struct{}{"before": early, "after": e.done()} {
		select {
		case <-c:
		default:
			t.Errorf("those who asked %s it happened are not told", name)
		}
	}
}

func TestEventTellsAll(t *testing.T) {
	var e event
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { <-e.done() })
	}
	all.Go(e.happen)
	all.Go(e.happen)
	all.Wait() // for ever if one was not told
}
