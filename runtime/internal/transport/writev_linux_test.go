package transport

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// refWriter returns a writer that refers to parts, and the other end of its
// connection. Encodings that are not released fail the package's tests.
func refWriter(t *testing.T) (*writer, net.Conn, *sync.WaitGroup) {
	t.Helper()
	ours, theirs := unixSockets(t)
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	var tasks sync.WaitGroup
	w := new(writer)
	w.init(ours, rawConn(ours), 0, &tasks, func(err error) { w.close(err) })
	if w.refer(); !w.refers.Load() {
		t.Fatal("parts are copied")
	}
	return w, theirs, &tasks
}

// appendMixed appends frames by turns of w's own bytes and of a part of a message, and
// returns them.
func appendMixed(t *testing.T, w *writer, r *rand.Rand) (frames []byte) {
	t.Helper()
	for range 1 + r.IntN(4) {
		own, large := random(r, 1+r.IntN(100)), random(r, leastReferred+r.IntN(4*leastReferred))
		m := message{in: takeEncoding(len(large))}
		m.in.b = append(m.in.b, large...)
		m.encoded = m.in.b
		if w.lockFor(0, nil, nil) != nil {
			m.free()
			return nil
		}
		w.buf = append(w.buf, own...)
		w.appendPart(&m, m.encoded)
		m.free() // the batch has it
		frames = append(append(frames, own...), large...)
		if r.IntN(2) == 0 {
			w.unlockAsync()
		} else {
			w.unlockLead(r.IntN(2) == 0)
		}
	}
	return frames
}

func random(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// TestReferredParts: parts arrive whole and in their place, however little of them
// the socket takes at a time.
func TestReferredParts(t *testing.T) {
	w, peer, tasks := refWriter(t)
	var got bytes.Buffer
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(&got, peer)
	}()
	var want []byte
	r := rand.New(rand.NewPCG(3, 4))
	for range 30 {
		want = append(want, appendMixed(t, w, r)...)
	}
	w.drain(nil)
	w.close(net.ErrClosed)
	w.nc.Close()
	<-done
	tasks.Wait()
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("received %d bytes, or others than the %d that were sent", got.Len(), len(want))
	}
}

// TestReferredPartsOfALostConnection: what was not written is given back.
func TestReferredPartsOfALostConnection(t *testing.T) {
	w, peer, tasks := refWriter(t)
	r := rand.New(rand.NewPCG(5, 6))
	appendMixed(t, w, r) // more than the socket takes, if only together with what follows
	peer.Close()
	for appendMixed(t, w, r) != nil {
	}
	tasks.Wait()
	if w.lock() == nil {
		t.Error("the writer goes on")
	}
}
