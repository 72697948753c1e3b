package floor

import (
	"encoding/binary"
	"net"
	"runtime"
	"sync"

	"github.com/rpcx-go/rpcx/bench/floor/harness"
	pb "github.com/rpcx-go/rpcx/bench/gen/echo"

	"google.golang.org/protobuf/proto"
)

// Streaming floors. One stream per connection. type 2 = "send me N messages of S bytes", type 3 = bidi data.

// streamQ: what a multiplexing connection needs between its reader goroutine and the stream's
// consumer; both sides work in batches (the consumer takes the whole buffer at once).
type streamQ struct {
	mu      sync.Mutex
	cond    *sync.Cond
	buf     []byte
	waiting bool
	full    bool
	ch      chan struct{}
	local   []byte
	spare   []byte
	off     int
}

func newQ() *streamQ {
	q := &streamQ{ch: make(chan struct{}, 1)}
	q.cond = sync.NewCond(&q.mu)
	return q
}
func (q *streamQ) push(p []byte) {
	q.mu.Lock()
	for len(q.buf) > 1<<20 {
		q.full = true
		q.cond.Wait()
	}
	q.buf = binary.LittleEndian.AppendUint32(q.buf, uint32(len(p)))
	q.buf = append(q.buf, p...)
	w := q.waiting
	q.waiting = false
	q.mu.Unlock()
	if w {
		q.ch <- struct{}{}
	}
}
func (q *streamQ) pop() []byte {
	for q.off == len(q.local) {
		q.mu.Lock()
		if len(q.buf) == 0 {
			q.waiting = true
			q.mu.Unlock()
			<-q.ch
			continue
		}
		q.local, q.buf = q.buf, q.local[:0]
		q.off = 0
		if q.full {
			q.full = false
			q.cond.Broadcast()
		}
		q.mu.Unlock()
	}
	n := int(binary.LittleEndian.Uint32(q.local[q.off:]))
	p := q.local[q.off+4 : q.off+4+n]
	q.off += 4 + n
	return p
}

// batchWriter: the ideal sender; flushes when full or told so.
type batchWriter struct {
	c   net.Conn
	buf []byte
}

func (w *batchWriter) write(id uint64, m *msg, done func(*msg), busy bool) error {
	if p := m.bigRef(); p != nil {
		w.buf = m.appendPrefix(w.buf, id)
		o := len(w.buf)
		w.buf = m.appendSuffix(w.buf)
		b := net.Buffers{w.buf[:o:o], p, w.buf[o:]}
		writes.Add(1)
		_, err := b.WriteTo(w.c)
		w.buf = w.buf[:0]
		return err
	}
	w.buf = appendFrame(w.buf, id, m)
	if len(w.buf) >= 64<<10 {
		return w.flush()
	}
	return nil
}
func (w *batchWriter) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	writes.Add(1)
	_, err := w.c.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}

func mkWriter(k string, c net.Conn) writer {
	if k == "batch" {
		return &batchWriter{c: c, buf: make([]byte, 0, 128<<10)}
	}
	return newWriter(k, c)
}

func streamDecode(codec int, p []byte) (int, *pb.Echo) {
	switch codec {
	case cRaw:
		return len(p), nil
	case cStd:
		e := new(pb.Echo)
		if err := proto.Unmarshal(p, e); err != nil {
			panic(err)
		}
		return len(e.Payload), e
	default:
		e := pb.EchoFromVTPool()
		if err := e.UnmarshalVTUnsafe(p); err != nil {
			panic(err)
		}
		return len(e.Payload), e
	}
}
func put(codec int, e *pb.Echo) {
	if codec >= cVTS && e != nil {
		e.Payload = nil
		e.Tag = ""
		e.ReturnToVTPool()
	}
}

func streamServe(codec int, q bool, wk string) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	serve := func(c net.Conn) {
		fr := newReader(c, 0)
		w := mkWriter(wk, c)
		bw, _ := w.(*batchWriter)
		var sq *streamQ
		echoOne := func(p []byte) {
			if codec == cRaw {
				w.write(3, &msg{codec: cRaw, raw: p}, nil, true)
				return
			}
			_, e := streamDecode(codec, p)
			m := &msg{codec: codec, pb: e}
			if codec == cStd {
				m.pb = &pb.Echo{Payload: e.Payload, Seq: e.Seq, Tag: e.Tag}
			}
			w.write(3, m, nil, true)
			put(codec, e)
		}
		var big []byte
		for {
			id, p, _, err := fr.next(func(_ uint64, n int) []byte {
				if cap(big) < n {
					big = make([]byte, n)
				}
				return big[:n]
			})
			if err != nil {
				c.Close()
				return
			}
			if id == 2 {
				cnt, size := int(binary.LittleEndian.Uint32(p)), int(binary.LittleEndian.Uint32(p[4:]))
				pl := harness.Payload(size)
				for i := 0; i < cnt; i++ {
					m := &msg{codec: codec, raw: pl}
					if codec != cRaw {
						m.pb = &pb.Echo{Payload: pl, Seq: uint64(i), Tag: "bench"}
					}
					w.write(3, m, nil, true)
				}
				if bw != nil {
					bw.flush()
				}
				continue
			}
			if q {
				if sq == nil {
					sq = newQ()
					go func() {
						for {
							echoOne(sq.pop())
							if bw != nil && sq.off == len(sq.local) {
								bw.flush()
							}
						}
					}()
				}
				sq.push(p)
				continue
			}
			echoOne(p)
			if bw != nil && !fr.buffered() {
				bw.flush()
			}
		}
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	return l.Addr().String(), nil
}

func streamDial(codec int, q bool, wk string) func(o harness.Opts, n int) (func(int) harness.CallFunc, error) {
	return func(o harness.Opts, n int) (func(int) harness.CallFunc, error) {
		pl := harness.Payload(o.Size)
		return func(int) harness.CallFunc {
			c, err := net.Dial("tcp", o.Addr)
			if err != nil {
				panic(err)
			}
			fr := newReader(c, 0)
			w := mkWriter(wk, c)
			bw, _ := w.(*batchWriter)
			var big []byte
			next := func() []byte {
				_, p, _, err := fr.next(func(_ uint64, n int) []byte {
					if cap(big) < n {
						big = make([]byte, n)
					}
					return big[:n]
				})
				if err != nil {
					return nil
				}
				return p
			}
			recv := next
			if q {
				sq := newQ()
				go func() {
					for {
						p := next()
						if p == nil {
							return
						}
						sq.push(p)
					}
				}()
				recv = sq.pop
			}
			drain := func() error {
				for i := 0; i < n; i++ {
					k, e := streamDecode(codec, recv())
					put(codec, e)
					if k != o.Size {
						return errSize
					}
				}
				return nil
			}
			if o.Kind == "sstream" {
				return func() error {
					var b [hdr + 8]byte
					putHdr(b[:], 8, 2)
					binary.LittleEndian.PutUint32(b[hdr:], uint32(n))
					binary.LittleEndian.PutUint32(b[hdr+4:], uint32(o.Size))
					if _, err := c.Write(b[:]); err != nil {
						return err
					}
					return drain()
				}
			}
			return func() error {
				ech := make(chan error, 1)
				go func() {
					for i := 0; i < n; i++ {
						m := &msg{codec: codec, raw: pl}
						if codec != cRaw {
							m.pb = &pb.Echo{Payload: pl, Seq: uint64(i), Tag: "bench"}
						}
						if err := w.write(3, m, nil, true); err != nil {
							ech <- err
							return
						}
					}
					if bw != nil {
						bw.flush()
					}
					ech <- nil
				}()
				if err := drain(); err != nil {
					return err
				}
				return <-ech
			}
		}, nil
	}
}

var _ = runtime.Gosched

func init() {
	for cn, cv := range map[string]int{"raw": cRaw, "std": cStd, "vts": cVTS, "vtu": cVTU} {
		for _, rx := range []string{"direct", "q"} {
			for _, w := range []string{"batch", "lead", "leady", "loop", "loopy", "chan", "chany", "leadbig"} {
				harness.Peers["stream-"+cn+"-"+rx+"-"+w] = harness.Peer{
					Serve:  func() (string, error) { return streamServe(cv, rx == "q", w) },
					Stream: streamDial(cv, rx == "q", w),
				}
			}
		}
	}
}
