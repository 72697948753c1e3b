package main

import (
	"net"
	"time"
)

// dial connects to the tested server and sends nothing.
func (t *T) dial() *peer { return t.dialTo(t.suite.addr) }

func (t *T) dialTo(addr string) *peer {
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.failf("a server at "+addr, "%v", err)
	}
	return t.newPeer(nc, false)
}

// greet sends preface and SETTINGS with alternating ids and values.
func (p *peer) greet(kv ...uint32) {
	for i := 0; i < len(kv); i += 2 {
		p.mine[kv[i]] = kv[i+1]
	}
	p.credit = int64(p.mine[kConnCredit])
	p.send(preface, settingsFrame(kv...))
}

// connect is a connection to the tested server with SETTINGS of both sides.
func (t *T) connect(kv ...uint32) *peer { return t.connectTo(t.suite.addr, kv...) }

func (t *T) connectTo(addr string, kv ...uint32) *peer {
	p := t.dialTo(addr)
	p.greet(kv...)
	p.wantPreface()
	p.wantSettings()
	return p
}

// listener is where a tested client connects to.
type listener struct {
	t *T
	l *net.TCPListener
}

func (t *T) listen() *listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.failf("a port to listen on", "%v", err)
	}
	t.cleanup(func() error { l.Close(); return nil })
	return &listener{t, l.(*net.TCPListener)}
}

func (l *listener) addr() string { return l.l.Addr().String() }

// accept waits for the tested client's connection and its preface and SETTINGS.
func (l *listener) accept() *peer {
	p := l.tryAccept(patience)
	if p == nil {
		l.t.failf("a connection from the client", "none in time")
	}
	return p
}

// tryAccept is accept for a client that need not connect.
func (l *listener) tryAccept(patience time.Duration) *peer {
	_ = l.l.SetDeadline(time.Now().Add(patience))
	nc, err := l.l.Accept()
	if err != nil {
		return nil
	}
	p := l.t.newPeer(nc, true)
	p.early = true
	p.credit = 65536
	p.wantPreface()
	p.wantSettings()
	return p
}

// acceptCall has a client make a call that needs a new connection, and accepts
// that. A client that does not know yet that the last connection is lost may
// fail the call as one that never ran; then it is made again.
func (l *listener) acceptCall(c *client, cmd command) *peer {
	c.do(cmd)
	for until := time.Now().Add(patience); time.Now().Before(until); {
		if p := l.tryAccept(50 * time.Millisecond); p != nil {
			return p
		}
		if e, ok := c.tryResult(cmd.Call, time.Millisecond); ok {
			if e.Status != sUnavailable || !e.NotRun {
				l.t.failf("a connection from the client", "%v", e)
			}
			c.do(cmd)
		}
	}
	l.t.failf("a connection from the client", "none in time")
	return nil
}

// welcome answers with preface and SETTINGS with alternating ids and values.
func (p *peer) welcome(kv ...uint32) {
	for i := 0; i < len(kv); i += 2 {
		p.mine[kv[i]] = kv[i+1]
	}
	p.early = false
	p.credit += int64(p.mine[kConnCredit]) - 65536
	for _, s := range p.streams {
		s.credit += int64(p.mine[kStreamCredit]) - 65536
	}
	p.send(preface, settingsFrame(kv...))
}

// serve starts a tested client and accepts and welcomes its connection, which
// it makes for the call that cmd tells it to make.
func (t *T) serve(cmd command, kv ...uint32) (*client, *peer) {
	l := t.listen()
	c := t.startClient(l.addr())
	c.do(cmd)
	p := l.accept()
	p.welcome(kv...)
	return c, p
}

// wantOpen reads the OPEN of a method.
func (p *peer) wantOpen(method string) frame {
	f := p.next()
	if f.typ != tOpen || p.names[f.code] != path(method) && f.code != 0 {
		p.t.failf("OPEN of "+path(method), "%v of %q", f, p.names[f.code])
	}
	return f
}

// put has a client make a call that has side effects, and returns the stream.
func (t *T) put(kv ...uint32) (*client, *peer, uint64) {
	c, p := t.serve(command{Do: "call", Call: "put", Method: "Put", Text: "x"}, kv...)
	return c, p, p.wantOpen("Put").id
}
