package workload

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Gate
		g.Pass()
		for range 2 { // it can be used again
			g.Close()
			var calls sync.WaitGroup
			for i := range 3 {
				calls.Go(func() {
					time.Sleep(time.Duration(i) * time.Second)
					g.Pass()
				})
			}
			if err := g.Await(4, 5*time.Second); err == nil {
				t.Error("four of three calls came")
			}
			if err := g.Await(3, time.Second); err != nil {
				t.Error(err)
			}
			g.Open()
			calls.Wait()
			g.Pass()
		}
	})
}
