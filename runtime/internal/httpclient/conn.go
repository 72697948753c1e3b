package httpclient

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/steady"
)

// conn is one connection.
type conn struct {
	*http.ClientConn
	p     *pool
	wire  *wire
	peer  call.Peer
	info  call.ConnInfo
	http1 bool
	alone bool      // it serves one call at a time
	freed time.Time // when the last call ended; guarded by p.mu

	opened  atomic.Bool // observers know of it
	closing atomic.Bool // it is closed on purpose
}

type dialKey struct{}

// open makes a connection.
func (p *pool) open(ctx context.Context) (*conn, error) {
	c := &conn{p: p}
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, dialKey{}, c), p.cfg.DialTimeout)
	defer cancel()
	scheme := "http"
	if p.cfg.Secure != nil {
		scheme = "https"
	}
	// The address does not matter: dial knows where to.
	cc, err := p.http.NewClientConn(ctx, scheme, "server:0")
	if err != nil {
		return nil, err
	}
	c.ClientConn = cc
	protocol := http2
	if c.http1 {
		protocol = http1
	}
	c.alone = c.http1 || p.cfg.PerCall
	c.info = call.ConnInfo{Side: call.Client, Local: c.wire.LocalAddr(), Remote: c.wire.RemoteAddr(), Protocol: protocol, Opened: time.Now()}
	for _, o := range p.cfg.Observers {
		o.ConnOpened(c.info)
	}
	c.opened.Store(true)
	if c.wire.over.Load() { // before that
		c.wire.tell()
	}
	return c, nil
}

// dial is called by net/http in open.
func (p *pool) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	c := ctx.Value(dialKey{}).(*conn)
	raw, err := p.cfg.Connect(ctx)
	if err != nil {
		return nil, err
	}
	c.wire = &wire{Conn: raw, c: c}
	p.tasks.Add(1) // until it is closed
	if p.cfg.Secure == nil {
		c.http1 = p.opts.Version != 2
		c.peer = p.cfg.PeerOf(raw, p.opts.Protocol)
		out := steady.New(c.wire)
		out.SetStall(p.cfg.Transport.WriteStall)
		return out, nil
	}
	nc, err := p.cfg.Secure(ctx, c.wire, p.cfg.Name())
	if err != nil {
		return nil, p.cfg.Named(err)
	}
	c.peer = p.cfg.PeerOf(nc, p.opts.Protocol)
	c.http1 = c.peer.TLS == nil || c.peer.TLS.NegotiatedProtocol != http2
	return nc, nil
}

// close closes the connection on purpose.
func (c *conn) close() {
	c.closing.Store(true)
	c.ClientConn.Close()
}

// closeWhenUnused closes the connection when no call is on it, nor has a place
// reserved.
func (c *conn) closeWhenUnused() {
	look := func(cc *http.ClientConn) {
		if cc.InFlight() == 0 {
			// net/http may hold locks now.
			go c.close()
		}
	}
	c.SetStateHook(look)
	look(c.ClientConn)
}

// wire is what a connection runs on, below TLS. It knows what went over it.
type wire struct {
	net.Conn
	c       *conn
	written atomic.Int64 // bytes
	over    atomic.Bool
	once    sync.Once
	told    sync.Once
	failure atomic.Pointer[error] // the first one of reading and writing
}

func (w *wire) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	w.note(err)
	return n, err
}

func (w *wire) Write(b []byte) (int, error) {
	n, err := w.Conn.Write(b)
	w.written.Add(int64(n))
	w.note(err)
	return n, err
}

func (w *wire) note(err error) {
	if err != nil && !errors.Is(err, net.ErrClosed) {
		w.failure.CompareAndSwap(nil, &err)
	}
}

// CloseWrite ends the sending direction.
func (w *wire) CloseWrite() error {
	if half, ok := w.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close is called by net/http, which may hold locks that it needs to answer our
// questions.
func (w *wire) Close() error {
	err := w.Conn.Close()
	w.once.Do(func() {
		w.over.Store(true)
		go func() {
			defer w.c.p.tasks.Done()
			w.c.p.forget(w.c)
			if w.c.opened.Load() {
				w.tell()
			}
		}()
	})
	return err
}

// tell says that the connection is no more.
func (w *wire) tell() {
	w.told.Do(func() {
		var err error
		if !w.c.closing.Load() {
			if f := w.failure.Load(); f != nil && *f != io.EOF {
				err = *f
			} else {
				err = errors.New("the server closed the connection")
			}
			w.c.p.cfg.Log.Debug("connection lost", "peer", w.c.info.Remote, "error", err)
		}
		for _, o := range w.c.p.cfg.Observers {
			o.ConnClosed(w.c.info, err)
		}
	})
}
