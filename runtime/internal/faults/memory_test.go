package faults_test

import (
	stdbytes "bytes"
	"context"
	"encoding/binary"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/internal/faults"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// TestDeclaredAndNotSent has 1,000 connections declare a message of 4 MiB, or a
// frame of 64 KiB of it, and send a byte: the server allocates by what it has,
// not by what it is told.
func TestDeclaredAndNotSent(t *testing.T) {
	const method = "faults.v1.Faults/Once"
	payload := append([]byte{byte(len(method))}, method...)
	payload = append(binary.LittleEndian.AppendUint32(payload, 4<<20), 7)
	f := faults.NewFrame(faults.Open, faults.Name|faults.Message|faults.More|faults.Total, 1, payload)
	message := f.Append(nil)
	f.SetBody(append(payload, make([]byte, 64<<10-len(payload))...))
	for name, beginning := range map[string][]byte{"message": message, "frame": f.Append(nil)[:len(message)]} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { declare(t, newWorld(rpcxtest.NewNetwork()), beginning, synctest.Wait) })
		})
		t.Run(name+" over TCP", func(t *testing.T) { declare(t, realWorld(), beginning, func() {}) })
	}
}

// declare has many connections send a beginning of a message.
func declare(t *testing.T, w *faults.World, beginning []byte, wait func()) {
	const conns, limit = 1_000, 100 << 20
	before := heap()
	attackers := make([]*attacker, conns)
	for i := range attackers {
		attackers[i] = attack(t, w.Net)
		if err := attackers[i].send(beginning); err != nil {
			t.Fatal(err)
		}
		wait()
	}
	hello := make([]byte, faults.PrefaceSize)
	for _, a := range attackers {
		if _, err := io.ReadFull(a, hello); err != nil { // the server has begun to read
			t.Fatal(err)
		}
	}
	wait()
	added := heap() - before
	t.Logf("%d connections add %d KiB", conns, added>>10)
	if added > limit {
		t.Errorf("%d connections that declare 4 MiB add %d MiB, the limit is %d", conns, added>>20, limit>>20)
	}
	for _, a := range attackers {
		a.Close()
	}
	w.Close()
	report(t, w, "declared and not sent")
}

// TestNesting has messages nested in a million groups that nobody knows, both
// ways: they cost their call.
func TestNesting(t *testing.T) {
	const levels = 1_000_000
	// Start and end of group 7.
	bomb := append(stdbytes.Repeat([]byte{7<<3 | 3}, levels), stdbytes.Repeat([]byte{7<<3 | 4}, levels)...)
	echo := rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: "faults.v1.Nesting", Name: "Echo"})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(rpcxtest.NewNetwork())
		w.Server().Register(rpcx.UnaryHandler(echo, func(_ context.Context, req *text) (*text, error) {
			if req.GetValue() == "answer with a bomb" {
				req.ProtoReflect().SetUnknown(bomb)
			}
			return req, nil
		}))
		req := wrapperspb.String("here is a bomb")
		req.ProtoReflect().SetUnknown(bomb)
		if _, err := rpcx.CallUnary(t.Context(), w.Conn, echo, req); status.CodeOf(err) != status.InvalidArgument {
			t.Errorf("a request of %d levels: %.200v", levels, err)
		}
		if _, err := rpcx.CallUnary(t.Context(), w.Conn, echo, wrapperspb.String("answer with a bomb")); status.CodeOf(err) != status.Internal {
			t.Errorf("an answer of %d levels: %.200v", levels, err)
		}
		_ = w.Agent.Do(t.Context(), faults.Order{ID: 1, Timeout: time.Second, Patient: true})
		w.Close()
		report(t, w, "nesting")
	})
}

// TestNestingOfKnownFields does the same with lists in lists, of which the
// receiver knows every level. The sender says it in fields that it does not know.
func TestNestingOfKnownFields(t *testing.T) {
	const levels = 1_000_000
	bomb := lists(levels)
	spec := rpcx.MethodSpec{Service: "faults.v1.Nesting", Name: "List"}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(rpcxtest.NewNetwork(), rpcx.WithMaxMessageSize(2*len(bomb)))
		w.Server().Register(rpcx.UnaryHandler(rpcx.NewMethod[structpb.Value, text](spec), func(_ context.Context, req *structpb.Value) (*text, error) {
			res := wrapperspb.String("here is a bomb")
			if req.GetStringValue() == "" {
				t.Error("a request of a million levels arrived")
			}
			res.ProtoReflect().SetUnknown(bomb)
			return res, nil
		}))
		req := new(text)
		req.ProtoReflect().SetUnknown(bomb)
		if _, err := rpcx.CallUnary(t.Context(), w.Conn, rpcx.NewMethod[text, structpb.Value](spec), req); status.CodeOf(err) != status.InvalidArgument {
			t.Errorf("a request of %d levels: %.200v", levels, err)
		}
		good := structpb.NewStringValue("answer with a bomb")
		if _, err := rpcx.CallUnary(t.Context(), w.Conn, rpcx.NewMethod[structpb.Value, structpb.Value](spec), good); status.CodeOf(err) != status.Internal {
			t.Errorf("an answer of %d levels: %.200v", levels, err)
		}
		_ = w.Agent.Do(t.Context(), faults.Order{ID: 1, Timeout: time.Second, Patient: true})
		w.Close()
		report(t, w, "nesting of known fields")
	})
}

// lists returns a google.protobuf.Value that is a list with a value that is one,
// and so on, in so many messages.
func lists(levels int) []byte {
	var b []byte // back to front
	for level := range levels {
		size := binary.AppendUvarint(nil, uint64(len(b)))
		slices.Reverse(size)
		b = append(b, size...)
		tag := byte(6<<3 | 2) // Value.list_value
		if (levels-level)%2 == 0 {
			tag = 1<<3 | 2 // ListValue.values
		}
		b = append(b, tag)
	}
	slices.Reverse(b)
	return b
}

type text = wrapperspb.StringValue

// TestOpenAndCancel opens and cancels streams, whether their handlers take
// notice or not: no more of them run than the connection may have streams.
func TestOpenAndCancel(t *testing.T) {
	for name, notice := range map[string]bool{"stubborn handlers": false, "handlers that take notice": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { openAndCancel(t, notice) })
		})
	}
}

// crowd counts handlers that run.
type crowd struct{ running, most, starts atomic.Int64 }

func (c *crowd) enter() {
	c.starts.Add(1)
	n := c.running.Add(1)
	for m := c.most.Load(); n > m && !c.most.CompareAndSwap(m, n); m = c.most.Load() {
	}
}

func openAndCancel(t *testing.T, notice bool) {
	const streams, limit = 100_000, 64
	method := rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: "faults.v1.Crowd", Name: "Wait"})
	w := faults.NewWorld(rpcxtest.NewNetwork(), []rpcx.ServerOption{rpcx.WithMaxStreams(limit)}, nil)
	var c crowd
	w.Server().Register(rpcx.UnaryHandler(method, func(ctx context.Context, req *text) (*text, error) {
		c.enter()
		defer c.running.Add(-1)
		if notice {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		time.Sleep(time.Second)
		return req, nil
	}))
	sent, conns := 0, 0
	for sent < streams {
		conns++
		n, frames := floodOfOpens(t, w, streams-sent)
		if sent += n; sent < streams && !goneFor(frames, 6) {
			t.Fatalf("connection %d ended after %d streams without a GOAWAY(FLOOD)", conns, n)
		}
		time.Sleep(2 * time.Second) // its handlers return
	}
	t.Logf("%d streams over %d connections: %d handlers started, at most %d at a time", sent, conns, c.starts.Load(), c.most.Load())
	if most := c.most.Load(); most > limit || most < limit && !notice {
		t.Errorf("%d handlers ran at a time, the limit is %d", most, limit)
	}
	w.Close()
	report(t, w, "open and cancel")
}

// floodOfOpens opens and cancels up to n streams on one connection, until the
// server has had enough, and returns how many and what the server sent.
func floodOfOpens(t *testing.T, w *faults.World, n int) (sent int, frames []faults.Frame) {
	a := attack(t, w.Net)
	defer a.Close()
	ended := make(chan []faults.Frame, 1)
	go func() { ended <- a.read() }()
	for id := uint64(1); sent < n; id += 2 {
		cancel := faults.NewFrame(faults.Cancel, 0, id, nil)
		cancel.SetCode(uint16(status.Canceled))
		if a.send(open(id, faults.HalfClose|faults.Message, "faults.v1.Crowd/Wait"), cancel.Append(nil)) != nil {
			break
		}
		if sent++; sent%100 == 0 {
			synctest.Wait()
		}
		select {
		case frames = <-ended:
			return sent, frames
		default:
		}
	}
	_ = a.CloseWrite()
	return sent, <-ended
}

// goneFor reports whether the last of the frames is a GOAWAY with the code.
func goneFor(frames []faults.Frame, code uint16) bool {
	if len(frames) == 0 {
		return false
	}
	last := frames[len(frames)-1]
	return last.Type() == faults.GoAway && last.Code() == code
}

// TestPings sends a million pings and reads no answer: only so many answers are
// queued, and the connection ends.
func TestPings(t *testing.T) {
	const pings, queued = 1_000_000, 100
	for _, reads := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			network := rpcxtest.NewNetwork()
			network.Buffer = 64 // two pings
			w := newWorld(network)
			a := attack(t, network)
			var all sync.WaitGroup
			var frames []faults.Frame
			if reads {
				all.Go(func() { frames = a.read() })
			}
			ping := faults.NewFrame(faults.Ping, 0, 0, make([]byte, 8))
			sent := 0
			var err error
			start := time.Now()
			for ; err == nil && sent < pings; sent++ {
				err = a.send(ping.Append(nil))
			}
			took := time.Since(start)
			if time.Sleep(2 * time.Second); a.send(ping.Append(nil), ping.Append(nil)) == nil {
				t.Errorf("the connection is open after %d pings", sent)
			}
			a.Close()
			all.Wait()
			t.Logf("reads %v: %d pings in %v, then %v; %d frames read", reads, sent, took, err, len(frames))
			switch {
			// What comes after the error is discarded for a second.
			case reads && (len(frames) > 1_001 || !goneFor(frames, 6)):
				t.Errorf("%d frames came back, and the last one is no GOAWAY(FLOOD)", len(frames))
			// One batch is being written, one waits; some are in buffers.
			case !reads && (sent > 2*queued+200 || took > 21*time.Second):
				t.Errorf("%d pings were taken in %v from a peer that reads nothing", sent, took)
			}
			_ = w.Agent.Do(t.Context(), faults.Order{ID: 1, Timeout: time.Second, Patient: true})
			w.Close()
			report(t, w, "pings")
		})
	}
}
