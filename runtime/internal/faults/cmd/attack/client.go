package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/internal/faults"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

// latencies are those of the calls made beside an attack.
type latencies struct {
	p50, p99 time.Duration
	calls    int
	conns    int // that the attacker needed
}

func (l latencies) String() string {
	return fmt.Sprintf("p50=%v p99=%v of %d calls, %d connections", l.p50, l.p99, l.calls, l.conns)
}

// beside makes calls to addr while n streams are opened and cancelled at target.
func beside(addr, target string, n int) (latencies, error) {
	conn, err := rpcx.Dial(addr)
	if err != nil {
		return latencies{}, err
	}
	defer conn.Close()
	req := wrapperspb.Bytes(make([]byte, 100))
	call := func() error {
		_, err := rpcx.CallUnary(context.Background(), conn, echo, req)
		return err
	}
	if err := call(); err != nil {
		return latencies{}, err
	}
	done := make(chan struct{})
	var all sync.WaitGroup
	var mu sync.Mutex
	var took []time.Duration
	var failed error
	for range *callers {
		all.Go(func() {
			var own []time.Duration
			var err error
			for over := false; !over && err == nil; {
				start := time.Now()
				err = call()
				own = append(own, time.Since(start))
				select {
				case <-done:
					over = true
				default:
				}
			}
			mu.Lock()
			defer mu.Unlock()
			took, failed = append(took, own...), errors.Join(failed, err)
		})
	}
	conns, err := attack(target, n)
	close(done)
	all.Wait()
	slices.Sort(took)
	at := func(share int) time.Duration { return took[len(took)*share/100] }
	return latencies{at(50), at(99), len(took), conns}, errors.Join(err, failed)
}

// attack opens and cancels n streams, at the pace, over as many connections as
// the server makes it need.
func attack(target string, n int) (conns int, err error) {
	start := time.Now()
	for sent := 0; sent < n; conns++ {
		more, err := flood(target, n-sent, func(k int) {
			time.Sleep(time.Until(start.Add(time.Duration(sent+k) * time.Second / time.Duration(*pace))))
		})
		if err != nil {
			return conns, err
		}
		sent += more
	}
	return conns, nil
}

// flood opens and cancels up to n streams on one connection, until that is
// closed, and calls wait between batches.
func flood(target string, n int, wait func(sent int)) (sent int, err error) {
	conn, err := net.Dial("tcp", target)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	go func() {
		_, _ = io.Copy(io.Discard, conn)
		conn.Close()
	}()
	settings := faults.NewFrame(faults.Settings, 0, 0, nil)
	batch := settings.Append([]byte("\xfbRPX\r\n\x1a\x01"))
	name := methodName()
	for sent < n {
		for range min(20, n-sent) {
			id := uint64(2*sent + 1)
			open := faults.NewFrame(faults.Open, faults.Name|faults.Message|faults.HalfClose, id, name)
			cancel := faults.NewFrame(faults.Cancel, 0, id, nil)
			cancel.SetCode(1)
			batch = cancel.Append(open.Append(batch))
			sent++
		}
		if _, err := conn.Write(batch); err != nil {
			return sent, nil // the server has had enough
		}
		batch = batch[:0]
		wait(sent)
	}
	return sent, nil
}

// methodName is the NAME section of the method that is opened.
func methodName() []byte {
	const name = "attack.v1.Attack/Wait"
	return append([]byte{byte(len(name))}, name...)
}
