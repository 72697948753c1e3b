package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"time"
)

// patience bounds each wait for something that has to come.
const patience = 5 * time.Second

// peer is the suite's end of a connection: a client against a tested server, a
// server against a tested client. It judges every frame that it reads.
type peer struct {
	t      *T
	nc     *net.TCPConn
	r      *bufio.Reader
	server bool // the suite is the server

	mine   settings // what the suite has said it accepts
	theirs settings // what the tested side has said it accepts
	early  bool     // the tested client has no settings yet
	first  bool     // the tested side's first frame was read
	goAway *frame   // the last one read

	streams   map[uint64]*stream
	credit    int64 // of the tested side, on the connection
	granted   map[uint64]int64
	opened    uint64 // highest id opened by the tested client
	defined   uint16 // method ids that it has defined
	names     map[uint16]string
	pending   []frame // read while waiting for another stream's
	held      []frame // read and put aside by the case
	noPong    bool    // PINGs of the tested side are handed over, not answered
	log       tape
	wroteDone bool
}

func (t *T) newPeer(nc net.Conn, server bool) *peer {
	p := &peer{
		t: t, nc: nc.(*net.TCPConn), r: bufio.NewReaderSize(nc, 128<<10), server: server,
		mine: defaultSettings(), streams: map[uint64]*stream{}, granted: map[uint64]int64{}, names: map[uint16]string{},
	}
	t.peers = append(t.peers, p)
	t.cleanup(func() error { nc.Close(); return nil })
	return p
}

// send writes at once all that is given. What it sends changes what it expects.
func (p *peer) send(all ...wire) {
	var b []byte
	for _, w := range all {
		b = append(b, w.wire()...)
		if f, ok := w.(frame); ok {
			p.noteSent(f)
		}
	}
	p.nc.SetWriteDeadline(time.Now().Add(patience))
	p.log.add('>', b)
	if _, err := p.nc.Write(b); err != nil {
		p.t.failf("that what is sent is taken", "%v", err)
	}
}

// trySend is send for a peer that may have closed.
func (p *peer) trySend(b []byte) error {
	p.nc.SetWriteDeadline(time.Now().Add(patience))
	p.log.add('>', b)
	_, err := p.nc.Write(b)
	return err
}

func (p *peer) noteSent(f frame) {
	switch f.typ {
	case tOpen:
		if p.streams[f.id] == nil && !p.server {
			p.streams[f.id] = &stream{caller: f.has(fCaller), callee: f.has(fCallee), codec: f.format & 15, left: -1, credit: int64(p.mine[kStreamCredit])}
		}
	case tCredit:
		if f.id == 0 {
			p.credit += int64(f.arg)
		} else if s := p.streams[f.id]; s != nil {
			s.credit += int64(f.arg)
		}
	case tClose:
		if s := p.streams[f.id]; s != nil && p.server {
			s.closed = true
		}
	}
}

// halt ends the suite's direction.
func (p *peer) halt() {
	p.wroteDone = true
	p.nc.CloseWrite()
}

// read reads and judges one frame, or returns io.EOF at the end.
func (p *peer) read(patience time.Duration) (frame, error) {
	p.nc.SetReadDeadline(time.Now().Add(patience))
	var h [headerSize]byte
	if n, err := io.ReadFull(p.r, h[:]); err != nil {
		p.log.add('<', h[:n])
		return frame{}, err
	}
	f, n := parseHeader(h[:])
	if f.has(fChecksum) {
		n += 4
	}
	if n > int(p.mine[kMaxFrame])+4 {
		p.log.add('<', h[:])
		p.t.failf("frames within MAX_FRAME", "%v of %d bytes", f, n)
	}
	f.payload = make([]byte, n)
	m, err := io.ReadFull(p.r, f.payload)
	p.log.add('<', append(h[:], f.payload[:m]...))
	if err != nil {
		return frame{}, fmt.Errorf("within a frame: %w", err)
	}
	if f.has(fChecksum) {
		f.payload = p.unseal(h[:], f.payload)
	}
	p.judge(f)
	return f, nil
}

func (p *peer) judge(f frame) {
	err := judgeHeader(f, len(f.payload), !p.server)
	if err == nil {
		err = judgeFlags(f, !p.server)
	}
	if err == nil && !p.first && f.typ != tSettings && (f.typ != tGoAway || f.code == eNone) {
		err = fmt.Errorf("the first frame is %v", f)
	}
	if err == nil && p.first && f.typ == tSettings {
		err = errors.New("SETTINGS twice")
	}
	p.first = true
	if err == nil {
		err = p.judgeState(f)
	}
	if err != nil {
		p.t.failf("frames that keep the rules", "%v", err)
	}
}

func (p *peer) judgeState(f frame) error {
	switch f.typ {
	case tSettings:
		s, err := parseSettings(f.payload)
		p.theirs = s
		return err
	case tGoAway:
		if p.goAway != nil && f.id > p.goAway.id {
			return fmt.Errorf("GOAWAY's id rises from %d to %d", p.goAway.id, f.id)
		}
		p.goAway = &f
	case tCredit:
		p.granted[f.id] += int64(f.arg)
	case tOpen, tData, tClose, tCancel:
		sec, err := f.parse()
		if err == nil && f.typ == tOpen {
			err = p.judgeOpen(f, sec)
		}
		if err == nil {
			err = p.judgeStream(f, sec)
		}
		return err
	}
	return nil
}

// judgeOpen judges the order of ids and of method ids, and notes the stream.
func (p *peer) judgeOpen(f frame, sec sections) error {
	if f.id <= p.opened {
		return fmt.Errorf("OPEN of %d after %d", f.id, p.opened)
	}
	p.opened = f.id
	if sec.name != "" && f.code != 0 {
		limits := p.mine
		if p.early {
			limits = earlySettings()
		}
		if f.code != p.defined+1 || uint32(f.code) > limits[kMaxMethods] {
			return fmt.Errorf("method id %d is defined after %d", f.code, p.defined)
		}
		p.defined++
		p.names[f.code] = sec.name
	}
	if p.early && f.format != 0 {
		return fmt.Errorf("a format before SETTINGS: %v", f)
	}
	if sec.name == "" && p.names[f.code] == "" {
		return fmt.Errorf("method id %d has no definition", f.code)
	}
	initial := p.mine[kStreamCredit]
	if p.early {
		initial = 65536
	}
	p.streams[f.id] = &stream{caller: f.has(fCaller), callee: f.has(fCallee), codec: f.format & 15, left: -1, credit: int64(initial)}
	return nil
}

// housekeeping reports whether f is one of the frames that may come at any
// time, and answers a PING.
func (p *peer) housekeeping(f frame) bool {
	switch {
	case f.typ == tPing && !f.has(fAck) && !p.noPong:
		f.flags = fAck
		_ = p.trySend(f.wire())
		return true
	case f.typ == tCredit, allowed[f.typ] == 0 && f.typ&0x80 != 0:
		return true
	}
	return false
}

// next returns the next frame that is not housekeeping.
func (p *peer) next() frame {
	f, err := p.tryNext(patience)
	if err != nil {
		p.t.failf("a frame", "%s", ending(err))
	}
	return f
}

func (p *peer) tryNext(patience time.Duration) (frame, error) {
	if len(p.pending) > 0 {
		f := p.pending[0]
		p.pending = p.pending[1:]
		return f, nil
	}
	return p.tryRead(patience)
}

// tryRead is tryNext for what has not been read yet.
func (p *peer) tryRead(patience time.Duration) (frame, error) {
	for until := time.Now().Add(patience); ; {
		f, err := p.read(time.Until(until))
		if err != nil || !p.housekeeping(f) {
			return f, err
		}
	}
}

// of returns the next frame of a stream and keeps those of others for later.
func (p *peer) of(id uint64) frame {
	same := func(f frame) bool { return f.typ >= tOpen && f.id == id }
	if i := slices.IndexFunc(p.pending, same); i >= 0 {
		f := p.pending[i]
		p.pending = slices.Delete(p.pending, i, i+1)
		return f
	}
	kept := p.pending
	p.pending = nil
	defer func() { p.pending = append(kept, p.pending...) }()
	for {
		f, err := p.tryNext(patience)
		if err != nil {
			p.t.failf(fmt.Sprintf("a frame of stream %d", id), "%s", ending(err))
		}
		if same(f) {
			return f
		}
		if f.typ == tGoAway && f.code != eNone {
			p.t.failf(fmt.Sprintf("a frame of stream %d", id), "%v", f)
		}
		kept = append(kept, f)
	}
}

// ending says how a connection ended.
func ending(err error) string {
	switch {
	case errors.Is(err, io.EOF):
		return "the end of the connection"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "nothing in time"
	}
	return err.Error()
}
