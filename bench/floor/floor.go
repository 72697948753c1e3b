// Package floor: hand-written lower limits. Frame = 16-byte header
// (u32 payload length, u64 stream id, u8 type, u8 flags, u16 method) + payload.
package floor

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/rpcx-go/rpcx/bench/floor/harness"
	pb "github.com/rpcx-go/rpcx/bench/gen/echo"

	"google.golang.org/protobuf/proto"
)

const hdr = 16
const bigFrame = 16 << 10

var writes, reads atomic.Int64

const (
	cRaw = iota
	cStd
	cVT
	cRT  // vt with the bookkeeping of a real runtime (rt.go): context, method table, cancel map, recover, slot free list
	cVTS // like cVTU, big bytes fields written by reference (scatter marshal)
	cVTU // vt + unsafe unmarshal aliasing the owned buffer + pooled messages
)

type msg struct {
	codec int
	raw   []byte
	pb    *pb.Echo
}

func (m *msg) appendTo(b []byte) []byte {
	switch m.codec {
	case cRaw:
		return append(b, m.raw...)
	case cStd:
		b, err := proto.MarshalOptions{}.MarshalAppend(b, m.pb)
		if err != nil {
			panic(err)
		}
		return b
	default:
		n := m.pb.SizeVT()
		o := len(b)
		b = grow(b, n)
		m.pb.MarshalToSizedBufferVT(b[o : o+n])
		return b[:o+n]
	}
}

// bigRef returns the payload that may be sent by reference (raw body or big bytes field).
func (m *msg) bigRef() []byte {
	if m.codec == cRaw && len(m.raw) >= bigFrame {
		return m.raw
	}
	if m.codec == cVTS && len(m.pb.Payload) >= bigFrame {
		return m.pb.Payload
	}
	return nil
}

// appendPrefix appends the frame header and the message bytes that precede the reference.
func (m *msg) appendPrefix(b []byte, id uint64) []byte {
	o := len(b)
	b = grow(b, hdr)
	if m.codec == cRaw {
		putHdr(b[o:], len(m.raw), id)
		return b
	}
	putHdr(b[o:], m.pb.SizeVT(), id)
	b = append(b, 0x0a)
	return binary.AppendUvarint(b, uint64(len(m.pb.Payload)))
}
func (m *msg) appendSuffix(b []byte) []byte {
	if m.codec == cRaw {
		return b
	}
	if m.pb.Seq != 0 {
		b = append(b, 0x10)
		b = binary.AppendUvarint(b, m.pb.Seq)
	}
	if m.pb.Tag != "" {
		b = append(b, 0x1a)
		b = binary.AppendUvarint(b, uint64(len(m.pb.Tag)))
		b = append(b, m.pb.Tag...)
	}
	return b
}

func grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b[:len(b)+n]
	}
	nb := make([]byte, len(b)+n, 2*cap(b)+n)
	copy(nb, b)
	return nb
}

func putHdr(b []byte, n int, id uint64) {
	binary.LittleEndian.PutUint32(b, uint32(n))
	binary.LittleEndian.PutUint64(b[4:], id)
	binary.LittleEndian.PutUint32(b[12:], 1)
}

func appendFrame(b []byte, id uint64, m *msg) []byte {
	o := len(b)
	b = grow(b, hdr)
	b = m.appendTo(b)
	putHdr(b[o:], len(b)-o-hdr, id)
	return b
}

// ---------- writers ----------

type writer interface {
	// write serialises m before returning unless the writer is a queue of
	// references (chan, writev); done (may be nil) is called when m's bytes are no longer needed.
	write(id uint64, m *msg, done func(*msg), busy bool) error
}

// lead: mutex + shared batch buffer; the first one in becomes the flusher and
// writes until the buffer is empty. yield: the leader calls Gosched once before
// each flush while others are known to be active.
type leadWriter struct {
	mu     sync.Mutex
	cond   *sync.Cond
	buf    []byte
	spare  []byte
	busy   bool
	yield  bool
	c      net.Conn
	err    error
	big    bool // hybrid: reference big raw payloads with writev
	segs   net.Buffers
	segsz  int
	segd   []segDone
	waiter int
}
type segDone struct {
	m    *msg
	done func(*msg)
}

var highWater = envInt("FLOOR_HW", 1<<20)

func (w *leadWriter) write(id uint64, m *msg, done func(*msg), others bool) error {
	w.mu.Lock()
	for len(w.buf)+w.segsz > highWater && w.busy {
		w.waiter++
		w.cond.Wait()
		w.waiter--
	}
	if w.err != nil {
		w.mu.Unlock()
		return w.err
	}
	if p := m.bigRef(); w.big && p != nil {
		// segment: [everything so far + header] + payload reference
		o := len(w.buf)
		w.buf = m.appendPrefix(w.buf, id)
		w.segs = append(w.segs, w.buf, p)
		w.segsz += len(w.buf) + len(p)
		w.buf = w.buf[len(w.buf):]
		w.buf = m.appendSuffix(w.buf)
		_ = o
		w.segd = append(w.segd, segDone{m, done})
		if cap(w.buf) < 64 {
			w.buf = make([]byte, 0, 4096)
		}
	} else {
		w.buf = appendFrame(w.buf, id, m)
		if done != nil {
			done(m)
		}
	}
	if w.busy {
		w.mu.Unlock()
		return nil
	}
	w.busy = true
	if w.yield && others {
		w.mu.Unlock()
		runtime.Gosched()
		w.mu.Lock()
	}
	for {
		if len(w.segs) > 0 {
			segs := w.segs
			if len(w.buf) > 0 {
				segs = append(segs, w.buf)
			}
			dn := w.segd
			w.segs, w.segd, w.segsz = nil, nil, 0
			w.buf = make([]byte, 0, 4096)
			w.mu.Unlock()
			writes.Add(1)
			_, err := segs.WriteTo(w.c)
			for _, d := range dn {
				if d.done != nil {
					d.done(d.m)
				}
			}
			w.mu.Lock()
			if err != nil {
				w.err = err
			}
		} else {
			b := w.buf
			w.buf = w.spare[:0]
			w.spare = nil
			w.mu.Unlock()
			writes.Add(1)
			_, err := w.c.Write(b)
			w.mu.Lock()
			if cap(b) <= 4<<20 {
				w.spare = b[:0]
			}
			if err != nil {
				w.err = err
			}
		}
		if w.waiter > 0 {
			w.cond.Broadcast()
		}
		if (len(w.buf) == 0 && len(w.segs) == 0) || w.err != nil {
			w.busy = false
			err := w.err
			w.mu.Unlock()
			return err
		}
		if w.yield && others {
			w.mu.Unlock()
			runtime.Gosched()
			w.mu.Lock()
		}
	}
}

// chan: writer goroutine fed by a buffered channel of references.
type chanItem struct {
	id   uint64
	m    *msg
	done func(*msg)
}
type chanWriter struct {
	ch    chan chanItem
	c     net.Conn
	yield bool
	err   atomic.Value
}

func (w *chanWriter) write(id uint64, m *msg, done func(*msg), others bool) error {
	w.ch <- chanItem{id, m, done}
	return nil
}
func (w *chanWriter) loop() {
	buf := make([]byte, 0, 64<<10)
	for it := range w.ch {
		yielded := !w.yield
	drain:
		for {
			buf = appendFrame(buf, it.id, it.m)
			if it.done != nil {
				it.done(it.m)
			}
			if len(buf) > 256<<10 {
				break
			}
		again:
			select {
			case it = <-w.ch:
			default:
				if !yielded {
					yielded = true
					runtime.Gosched()
					goto again
				}
				break drain
			}
		}
		writes.Add(1)
		if _, err := w.c.Write(buf); err != nil {
			return
		}
		buf = buf[:0]
		if cap(buf) > 1<<20 {
			buf = make([]byte, 0, 64<<10)
		}
	}
}

// pend: mutex + buffer, flush by the last of the current senders (atomic counter),
// write under the lock.
type pendWriter struct {
	mu      sync.Mutex
	pending atomic.Int64
	buf     []byte
	c       net.Conn
	yield   bool
	err     error
}

func (w *pendWriter) write(id uint64, m *msg, done func(*msg), others bool) error {
	w.pending.Add(1)
	w.mu.Lock()
	w.buf = appendFrame(w.buf, id, m)
	if done != nil {
		done(m)
	}
	if w.yield && others && len(w.buf) < 256<<10 {
		w.mu.Unlock()
		runtime.Gosched()
		if w.pending.Add(-1) != 0 {
			return nil
		}
		w.mu.Lock()
		w.flush()
	} else if w.pending.Add(-1) == 0 || len(w.buf) >= 256<<10 {
		w.flush()
	}
	err := w.err
	w.mu.Unlock()
	return err
}
func (w *pendWriter) flush() {
	if len(w.buf) == 0 {
		return
	}
	writes.Add(1)
	if _, err := w.c.Write(w.buf); err != nil {
		w.err = err
	}
	w.buf = w.buf[:0]
	if cap(w.buf) > 1<<20 {
		w.buf = make([]byte, 0, 64<<10)
	}
}

// loopy: like grpc-go: callers append to a queue under a mutex, a writer goroutine
// is woken when it sleeps; it yields once when the batch is small.
type loopyWriter struct {
	mu       sync.Mutex
	cond     *sync.Cond
	buf      []byte
	spare    []byte
	sleeping bool
	wake     chan struct{}
	c        net.Conn
	yield    bool
	waiter   int
	err      error
}

func (w *loopyWriter) write(id uint64, m *msg, done func(*msg), others bool) error {
	w.mu.Lock()
	for len(w.buf) > highWater {
		w.waiter++
		w.cond.Wait()
		w.waiter--
	}
	w.buf = appendFrame(w.buf, id, m)
	if done != nil {
		done(m)
	}
	wk := w.sleeping
	w.sleeping = false
	w.mu.Unlock()
	if wk {
		w.wake <- struct{}{}
	}
	return w.err
}
func (w *loopyWriter) loop() {
	w.mu.Lock()
	for {
		for len(w.buf) == 0 {
			w.sleeping = true
			w.mu.Unlock()
			<-w.wake
			w.mu.Lock()
		}
		if w.yield && len(w.buf) < 1000 {
			w.mu.Unlock()
			runtime.Gosched()
			w.mu.Lock()
		}
		b := w.buf
		w.buf = w.spare[:0]
		w.spare = nil
		if w.waiter > 0 {
			w.cond.Broadcast()
		}
		w.mu.Unlock()
		writes.Add(1)
		if _, err := w.c.Write(b); err != nil {
			w.err = err
			return
		}
		w.mu.Lock()
		if cap(b) <= 4<<20 {
			w.spare = b
		}
	}
}

// writev: leader collects references (header slice + payload slice) and calls writev.
type writevWriter struct {
	mu     sync.Mutex
	q      net.Buffers
	spare  net.Buffers
	d, sd  []segDone
	busy   bool
	yield  bool
	c      net.Conn
	err    error
	hs, sh []byte
}

func (w *writevWriter) write(id uint64, m *msg, done func(*msg), others bool) error {
	var f []byte
	if m.codec == cRaw {
		f = nil
	} else {
		f = appendFrame(make([]byte, 0, 256), id, m)
	}
	w.mu.Lock()
	if f == nil {
		if cap(w.hs)-len(w.hs) < hdr {
			w.hs = make([]byte, 0, 16*256)
		}
		o := len(w.hs)
		w.hs = w.hs[:o+hdr]
		putHdr(w.hs[o:], len(m.raw), id)
		w.q = append(w.q, w.hs[o:o+hdr], m.raw)
	} else {
		w.q = append(w.q, f)
	}
	if done != nil {
		w.d = append(w.d, segDone{m, done})
	}
	if w.busy {
		w.mu.Unlock()
		return nil
	}
	w.busy = true
	if w.yield && others {
		w.mu.Unlock()
		runtime.Gosched()
		w.mu.Lock()
	}
	for len(w.q) > 0 && w.err == nil {
		q, d, h := w.q, w.d, w.hs
		w.q, w.d, w.hs = w.spare[:0], w.sd[:0], w.sh[:0]
		w.spare, w.sd, w.sh = nil, nil, nil
		w.mu.Unlock()
		writes.Add(1)
		qq := q
		_, err := qq.WriteTo(w.c)
		for _, x := range d {
			x.done(x.m)
		}
		w.mu.Lock()
		w.spare, w.sd, w.sh = q[:0], d[:0], h[:0]
		if err != nil {
			w.err = err
		}
		if w.yield && others && len(w.q) > 0 {
			w.mu.Unlock()
			runtime.Gosched()
			w.mu.Lock()
		}
	}
	w.busy = false
	w.mu.Unlock()
	return w.err
}

func newWriter(kind string, c net.Conn) writer {
	y := strings.HasSuffix(kind, "y")
	k := strings.TrimSuffix(kind, "y")
	switch k {
	case "lead", "leadbig":
		w := &leadWriter{c: c, yield: y, buf: make([]byte, 0, 64<<10), spare: make([]byte, 0, 64<<10), big: k == "leadbig"}
		w.cond = sync.NewCond(&w.mu)
		return w
	case "chan":
		w := &chanWriter{c: c, yield: y, ch: make(chan chanItem, 1024)}
		go w.loop()
		return w
	case "pend":
		return &pendWriter{c: c, yield: y, buf: make([]byte, 0, 64<<10)}
	case "loop":
		w := &loopyWriter{c: c, yield: y, wake: make(chan struct{}, 1), buf: make([]byte, 0, 64<<10)}
		w.cond = sync.NewCond(&w.mu)
		go w.loop()
		return w
	case "writev":
		return &writevWriter{c: c, yield: y}
	}
	panic("writer " + kind)
}

// ---------- frame reader ----------

type frameReader struct {
	c        net.Conn
	rc       syscall.RawConn // with spin: non-blocking reads are retried for this long before parking
	spin     time.Duration
	buf      []byte
	r, w     int
	adaptive bool // spin only while the last reads brought at most two frames
	frames   int
	backoff  bool // after a spin that timed out, skip 1,2,4..256 reads; yield the OS thread while spinning
	skip     int
	pen      int
}

func newReader(c net.Conn, spin time.Duration) *frameReader {
	f := &frameReader{c: c, buf: make([]byte, 128<<10), spin: spin}
	if spin < 0 {
		f.adaptive, spin = true, -spin
		f.backoff = spin%2 == 1 // odd nanoseconds select the back-off variant
		f.spin = spin
	}
	if spin > 0 {
		f.rc, _ = c.(*net.TCPConn).SyscallConn()
	}
	return f
}

func (f *frameReader) read(p []byte) (int, error) {
	reads.Add(1)
	fr := f.frames
	f.frames = 0
	if f.spin == 0 || (f.adaptive && fr > 2) {
		return f.c.Read(p)
	}
	if f.backoff {
		if f.skip > 0 {
			f.skip--
			return f.c.Read(p)
		}
		n, timedOut, err := spinRead(f.rc, p, f.spin, true)
		if timedOut {
			f.pen = min(max(2*f.pen, 1), 256)
			f.skip = f.pen
		} else {
			f.pen = 0
		}
		return n, err
	}
	n, _, err := spinRead(f.rc, p, f.spin, false)
	return n, err
}

func spinRead(rc syscall.RawConn, p []byte, spin time.Duration, yield bool) (n int, timedOut bool, err error) {
	e := rc.Read(func(fd uintptr) bool {
		var t0 time.Time
		for i := 0; ; i++ {
			r, _, en := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
			if en == 0 {
				n = int(r)
				if n == 0 {
					err = io.EOF
				}
				return true
			}
			if en == syscall.EINTR {
				continue
			}
			if en != syscall.EAGAIN {
				err = en
				return true
			}
			if timedOut { // woken by the poller, spurious
				return false
			} else if i == 0 {
				t0 = time.Now()
			} else if time.Since(t0) > spin {
				timedOut = true
				return false
			}
			runtime.Gosched()
			if yield {
				syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0)
			}
		}
	})
	if e != nil {
		err = e
	}
	return
}

// buffered reports whether a whole header is buffered.
func (f *frameReader) buffered() bool {
	if f.w-f.r < hdr {
		return false
	}
	n := int(binary.LittleEndian.Uint32(f.buf[f.r:]))
	return n >= bigFrame || f.w-f.r >= hdr+n
}
func (f *frameReader) fill() error {
	if f.r == f.w {
		f.r, f.w = 0, 0
	} else if len(f.buf)-f.w < 32<<10 {
		copy(f.buf, f.buf[f.r:f.w])
		f.w -= f.r
		f.r = 0
	}
	n, err := f.read(f.buf[f.w:])
	f.w += n
	return err
}

// next returns the id and the payload. Small payloads alias the read buffer until the
// next call; big ones are read straight into dst(n).
func (f *frameReader) next(dst func(id uint64, n int) []byte) (id uint64, p []byte, big bool, err error) {
	for f.w-f.r < hdr {
		if err = f.fill(); err != nil {
			return
		}
	}
	n := int(binary.LittleEndian.Uint32(f.buf[f.r:]))
	id = binary.LittleEndian.Uint64(f.buf[f.r+4:])
	f.frames++
	if n < bigFrame {
		for f.w-f.r < hdr+n {
			if err = f.fill(); err != nil {
				return
			}
		}
		p = f.buf[f.r+hdr : f.r+hdr+n : f.r+hdr+n]
		f.r += hdr + n
		return
	}
	f.r += hdr
	p = dst(id, n)
	k := copy(p, f.buf[f.r:f.w])
	f.r += k
	for k < n {
		reads.Add(1)
		m, e := f.c.Read(p[k:]) // never spin in the middle of a body
		k += m
		if e != nil && k < n {
			return id, nil, true, e
		}
	}
	return id, p, true, nil
}

// ---------- server ----------

type job struct {
	id  uint64
	req msg
	buf []byte
	s   *srvConn
	fin func(*msg)
}

var jobs = sync.Pool{New: func() any { return new(job) }}

type srvConn struct {
	codec    int
	w        writer
	inflight atomic.Int64
	rtmu     sync.Mutex
	live     map[uint64]*job
	ncalls   atomic.Int64
}

// handle is the "user handler": same contract as a typed stub (decode, call, encode).
func decode(codec int, p []byte, owned bool, m *msg) {
	m.codec = codec
	switch codec {
	case cRaw:
		m.raw = p
	case cStd:
		e := new(pb.Echo)
		if err := proto.Unmarshal(p, e); err != nil {
			panic(err)
		}
		m.pb = &pb.Echo{Payload: e.Payload, Seq: e.Seq, Tag: e.Tag}
	case cVT, cRT:
		e := new(pb.Echo)
		if err := e.UnmarshalVT(p); err != nil {
			panic(err)
		}
		m.pb = &pb.Echo{Payload: e.Payload, Seq: e.Seq, Tag: e.Tag}
	case cVTU, cVTS:
		e := pb.EchoFromVTPool()
		if err := e.UnmarshalVTUnsafe(p); err != nil {
			panic(err)
		}
		m.pb = e
	}
}
func freeMsg(m *msg) {
	if m.codec >= cVTS && m.pb != nil {
		m.pb.Payload = nil
		m.pb.Tag = ""
		m.pb.Seq = 0
		m.pb.ReturnToVTPool()
		m.pb = nil
	}
}

func (j *job) run() {
	if j.s.codec == cRT {
		j.runRT()
		return
	}
	s := j.s
	decode(s.codec, j.buf, true, &j.req)
	others := s.inflight.Load() > 1
	if j.fin == nil {
		j.fin = j.finish
	}
	s.w.write(j.id, &j.req, j.fin, others)
	s.inflight.Add(-1)
}
func (j *job) finish(m *msg) {
	freeMsg(m)
	j.req = msg{}
	j.s = nil
	jobs.Put(j)
}

// idle worker stack
type workers struct {
	ch chan *job
}

func serveConn(c net.Conn, handle, wk string, codec int, spin time.Duration) {
	fr := newReader(c, spin)
	s := &srvConn{codec: codec, live: map[uint64]*job{}}
	if handle == "inline" {
		out := make([]byte, 0, 128<<10)
		var bigbuf []byte
		getbig := func(_ uint64, n int) []byte {
			if cap(bigbuf) < n {
				bigbuf = make([]byte, n)
			}
			return bigbuf[:n]
		}
		for {
			id, p, big, err := fr.next(getbig)
			if err != nil {
				c.Close()
				return
			}
			var m msg
			decode(codec, p, false, &m)
			if ref := m.bigRef(); big && ref != nil {
				out = m.appendPrefix(out, id)
				o := len(out)
				out = m.appendSuffix(out)
				bufs := net.Buffers{out[:o:o], ref, out[o:]}
				writes.Add(1)
				bufs.WriteTo(c)
				out = out[:0]
				freeMsg(&m)
				continue
			}
			out = appendFrame(out, id, &m)
			freeMsg(&m)
			if len(out) >= 256<<10 || !fr.buffered() {
				writes.Add(1)
				if _, err := c.Write(out); err != nil {
					c.Close()
					return
				}
				out = out[:0]
			}
		}
	}
	s.w = newWriter(wk, c)
	var pool chan *job
	if handle == "pool" {
		pool = make(chan *job, 1024)
		for range 2 * runtime.GOMAXPROCS(0) {
			go func() {
				for j := range pool {
					j.run()
				}
			}()
		}
		defer close(pool)
	}
	var bigj *job
	getbig := func(_ uint64, n int) []byte {
		bigj = jobs.Get().(*job)
		if cap(bigj.buf) < n {
			bigj.buf = make([]byte, n)
		}
		bigj.buf = bigj.buf[:n]
		return bigj.buf
	}
	readLoop(c, fr, s, handle, pool, getbig, &bigj)
}

func readLoop(c net.Conn, fr *frameReader, s *srvConn, handle string, pool chan *job, getbig func(uint64, int) []byte, bigj **job) {
	for {
		id, p, big, err := fr.next(getbig)
		if err != nil {
			c.Close()
			return
		}
		var j *job
		if big {
			j = *bigj
		} else {
			j = jobs.Get().(*job)
			j.buf = append(j.buf[:0], p...)
		}
		j.id, j.s = id, s
		s.inflight.Add(1)
		switch handle {
		case "go":
			go j.run()
		case "pool":
			pool <- j
		case "lf": // leader/follower: last frame of a batch is handled here, a new reader is started
			if fr.buffered() {
				go j.run()
			} else {
				go readLoop(c, fr, s, handle, pool, getbig, bigj)
				j.run()
				return
			}
		}
	}
}

func serveMux(handle, wk string, codec int, spin time.Duration) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serveConn(c, handle, wk, codec, spin)
		}
	}()
	return l.Addr().String(), nil
}

// ---------- client ----------

type call struct {
	id    uint64
	slot  uint32
	gen   uint32
	buf   []byte
	ch    chan bool // true: done, false: you are the reader now
	state atomic.Int32
	m     msg
	err   error
	fin   bool
}

type client struct {
	c        net.Conn
	w        writer
	fr       *frameReader
	table    []*call // slot -> call
	inflight atomic.Int64
	token    atomic.Int32
	hint     atomic.Uint32
	codec    int
	callerRd bool
	rtmu     sync.Mutex
	free     []*call
	ncalls   atomic.Int64
}

var errSize = errors.New("bad size")

func (c *client) dispatch() (*call, error) {
	id, p, big, err := c.fr.next(func(id uint64, n int) []byte {
		cl := c.table[uint32(id)]
		if cap(cl.buf) < n {
			cl.buf = make([]byte, n)
		}
		cl.buf = cl.buf[:n]
		return cl.buf
	})
	if err != nil {
		return nil, err
	}
	cl := c.table[uint32(id)]
	if cl.gen != uint32(id>>32) {
		return nil, nil
	}
	if !big {
		cl.buf = append(cl.buf[:0], p...)
	}
	return cl, nil
}

func (c *client) readLoop() {
	for {
		cl, err := c.dispatch()
		if err != nil {
			for _, x := range c.table {
				x.err = err
				select {
				case x.ch <- true:
				default:
				}
			}
			return
		}
		if cl != nil {
			cl.ch <- true
		}
	}
}

const (
	stIdle = iota
	stWaiting
	stDone
	stPromoted
)

// waitCR: caller-reads (leader/follower) variant.
func (c *client) waitCR(me *call) error {
	for {
		if c.token.CompareAndSwap(0, 1) {
			if me.state.Load() == stDone { // delivered by a previous reader
				<-me.ch
				c.pass(me)
				return me.err
			}
			return c.lead(me)
		}
		if me.state.CompareAndSwap(stIdle, stWaiting) && c.token.Load() == 0 && me.state.CompareAndSwap(stWaiting, stIdle) {
			continue
		}
		if <-me.ch {
			return me.err
		}
		return c.lead(me)
	}
}
func (c *client) lead(me *call) error {
	for {
		cl, err := c.dispatch()
		if err != nil {
			return err
		}
		if cl == me {
			// drain what is buffered, then hand the reader role over
			for c.fr.buffered() {
				o, err := c.dispatch()
				if err != nil {
					return err
				}
				if o != nil {
					o.state.Store(stDone)
					o.ch <- true
				}
			}
			c.pass(me)
			return nil
		}
		if cl != nil {
			cl.state.Store(stDone)
			cl.ch <- true
		}
	}
}

// pass hands the token to a waiting call or drops it.
func (c *client) pass(me *call) {
	for {
		if c.inflight.Load() > 1 {
			n := uint32(len(c.table))
			h := c.hint.Load()
			for i := uint32(0); i < n; i++ {
				x := c.table[(h+i)%n]
				if x != me && x.state.Load() == stWaiting && x.state.CompareAndSwap(stWaiting, stPromoted) {
					c.hint.Store((h + i + 1) % n)
					x.ch <- false
					return
				}
			}
		}
		c.token.Store(0)
		// somebody may have become a waiter between the scan and the release
		if c.inflight.Load() <= 1 {
			return
		}
		found := false
		for _, x := range c.table {
			if x != me && x.state.Load() == stWaiting {
				found = true
				break
			}
		}
		if !found || !c.token.CompareAndSwap(0, 1) {
			return
		}
	}
}

func dialMux(wk string, codec int, callerRd bool, spin time.Duration) func(o harness.Opts) (func(int) harness.CallFunc, error) {
	return func(o harness.Opts) (func(int) harness.CallFunc, error) {
		nc, err := net.Dial("tcp", o.Addr)
		if err != nil {
			return nil, err
		}
		c := &client{c: nc, fr: newReader(nc, spin), codec: codec, callerRd: callerRd, w: newWriter(wk, nc)}
		c.table = make([]*call, o.Conc)
		for i := range c.table {
			c.table[i] = &call{slot: uint32(i), ch: make(chan bool, 2)}
		}
		if !callerRd {
			go c.readLoop()
		}
		payload := harness.Payload(o.Size)
		return func(w int) harness.CallFunc {
			c.free = append(c.free, c.table[w])
			return func() error {
				if codec == cRT {
					return c.callRT(rtBG, payload, o.Size)
				}
				cl := c.table[w]
				cl.gen++
				cl.id = uint64(cl.gen)<<32 | uint64(w)
				cl.m.codec = codec
				cl.state.Store(stIdle)
				var in *pb.Echo
				if codec == cRaw {
					cl.m.raw = payload
				} else {
					in = &pb.Echo{Payload: payload, Seq: uint64(cl.gen), Tag: "bench"}
					cl.m.pb = in
				}
				others := c.inflight.Add(1) > 1
				err := c.w.write(cl.id, &cl.m, nil, others)
				if err != nil {
					return err
				}
				if callerRd {
					err = c.waitCR(cl)
				} else {
					<-cl.ch
					err = cl.err
				}
				c.inflight.Add(-1)
				if err != nil {
					return err
				}
				var n int
				switch codec {
				case cRaw:
					n = len(cl.buf)
				case cStd:
					out := new(pb.Echo)
					if err := proto.Unmarshal(cl.buf, out); err != nil {
						return err
					}
					n = len(out.Payload)
				case cVT, cRT:
					out := new(pb.Echo)
					if err := out.UnmarshalVT(cl.buf); err != nil {
						return err
					}
					n = len(out.Payload)
				case cVTU, cVTS:
					out := pb.EchoFromVTPool()
					if err := out.UnmarshalVTUnsafe(cl.buf); err != nil {
						return err
					}
					n = len(out.Payload)
					freeMsg(&msg{codec: codec, pb: out})
				}
				if n != o.Size {
					return errSize
				}
				return nil
			}
		}, nil
	}
}

// ---------- floor (i): ping-pong, one in flight per connection ----------

func pingPongServe() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				buf := make([]byte, 128<<10)
				w := 0
				for {
					n, err := c.Read(buf[w:])
					if err != nil {
						c.Close()
						return
					}
					reads.Add(1)
					w += n
					if w >= hdr {
						t := int(binary.LittleEndian.Uint32(buf)) + hdr
						if w >= t {
							writes.Add(1)
							c.Write(buf[:t])
							w = copy(buf, buf[t:w])
						}
					}
				}
			}()
		}
	}()
	return l.Addr().String(), nil
}

func pingPongDial(o harness.Opts) (func(int) harness.CallFunc, error) {
	payload := harness.Payload(o.Size)
	return func(w int) harness.CallFunc {
		c, err := net.Dial("tcp", o.Addr)
		if err != nil {
			panic(err)
		}
		out := make([]byte, hdr+o.Size)
		in := make([]byte, hdr+o.Size)
		copy(out[hdr:], payload)
		return func() error {
			putHdr(out, o.Size, 1)
			if _, err := c.Write(out); err != nil {
				return err
			}
			k := 0
			for k < len(in) {
				n, err := c.Read(in[k:])
				if err != nil {
					return err
				}
				k += n
			}
			return nil
		}
	}, nil
}

// same with blocking file descriptors: no Go netpoller, thread blocked in read(2)
func blockingFD(c net.Conn) int {
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		panic(err)
	}
	fd := int(f.Fd()) // sets blocking mode
	syscall.SetNonblock(fd, false)
	keep = append(keep, f)
	c.Close()
	return fd
}

var keep []*os.File

func fdServe() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fd := blockingFD(c)
			go func() {
				runtime.LockOSThread()
				buf := make([]byte, 128<<10)
				w := 0
				for {
					n, err := syscall.Read(fd, buf[w:])
					if err == syscall.EINTR {
						continue
					}
					if err != nil || n == 0 {
						syscall.Close(fd)
						return
					}
					w += n
					if w >= hdr {
						t := int(binary.LittleEndian.Uint32(buf)) + hdr
						if w >= t {
							for k := 0; k < t; {
								n, err := syscall.Write(fd, buf[k:t])
								if err != nil && err != syscall.EINTR {
									return
								}
								if n > 0 {
									k += n
								}
							}
							w = copy(buf, buf[t:w])
						}
					}
				}
			}()
		}
	}()
	return l.Addr().String(), nil
}
func fdDial(o harness.Opts) (func(int) harness.CallFunc, error) {
	payload := harness.Payload(o.Size)
	return func(w int) harness.CallFunc {
		c, err := net.Dial("tcp", o.Addr)
		if err != nil {
			panic(err)
		}
		fd := blockingFD(c)
		out := make([]byte, hdr+o.Size)
		in := make([]byte, hdr+o.Size)
		copy(out[hdr:], payload)
		return func() error {
			putHdr(out, o.Size, 1)
			for k := 0; k < len(out); {
				n, err := syscall.Write(fd, out[k:])
				if err != nil && err != syscall.EINTR {
					return err
				}
				if n > 0 {
					k += n
				}
			}
			for k := 0; k < len(in); {
				n, err := syscall.Read(fd, in[k:])
				if err == syscall.EINTR {
					continue
				}
				if err != nil {
					return err
				}
				if n == 0 {
					return io.EOF
				}
				k += n
			}
			return nil
		}
	}, nil
}

func init() {
	harness.ExtraStats = func() map[string]int64 {
		return map[string]int64{"writes": writes.Load(), "reads": reads.Load()}
	}
	harness.Peers["floor-raw"] = harness.Peer{Serve: pingPongServe, Dial: pingPongDial}
	harness.Peers["floor-rawfd"] = harness.Peer{Serve: fdServe, Dial: fdDial}
	codecs := map[string]int{"raw": cRaw, "std": cStd, "vt": cVT, "vtu": cVTU, "vts": cVTS, "rt": cRT}
	for cn, cv := range codecs {
		for _, h := range []string{"inline", "go", "pool", "lf"} {
			for _, w := range []string{"lead", "leady", "leadbig", "leadbigy", "chan", "chany", "pend", "pendy", "loop", "loopy", "writev", "writevy"} {
				for _, cr := range []string{"rd", "cr", "rds", "crs", "rda", "cra", "rdb", "crb"} {
					var spin time.Duration
					if strings.HasSuffix(cr, "s") {
						spin = 50 * time.Microsecond
					} else if strings.HasSuffix(cr, "a") {
						spin = -50 * time.Microsecond
					} else if strings.HasSuffix(cr, "b") {
						spin = -30*time.Microsecond - 1
					}
					// name: mux-<codec>-<server handling>-<writer both sides>-<client reader>
					harness.Peers["mux-"+cn+"-"+h+"-"+w+"-"+cr] = harness.Peer{
						Serve: func() (string, error) { return serveMux(h, w, cv, spin) },
						Dial:  dialMux(w, cv, cr[:2] == "cr", spin),
					}
				}
			}
		}
	}
}
