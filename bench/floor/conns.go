package floor

import (
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/rpcx-go/rpcx/bench/floor/harness"
)

// Idle-connection floors. floor-conn4k: goroutine per connection with a 4 KiB read buffer;
// floor-connlazy: goroutine per connection, the read buffer is taken from a pool only once
// the socket is readable.
func connServe(lazy bool) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	pool := sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if !lazy {
				go func() {
					b := make([]byte, 4096)
					for {
						n, err := c.Read(b)
						if err != nil {
							return
						}
						c.Write(b[:n])
					}
				}()
				continue
			}
			go func() {
				rc, _ := c.(*net.TCPConn).SyscallConn()
				for {
					var b *[]byte
					var n int
					var e error
					err := rc.Read(func(fd uintptr) bool {
						b = pool.Get().(*[]byte)
						n, e = syscall.Read(int(fd), *b)
						if e == syscall.EAGAIN {
							pool.Put(b)
							b = nil
							return false
						}
						return true
					})
					if err != nil || e != nil || n == 0 {
						c.Close()
						return
					}
					c.Write((*b)[:n])
					pool.Put(b)
				}
			}()
		}
	}()
	return l.Addr().String(), nil
}
func connConns(o harness.Opts, n int) (any, error) {
	var keep []net.Conn
	b := make([]byte, 16)
	for i := 0; i < n; i++ {
		c, err := net.Dial("tcp", o.Addr)
		if err != nil {
			return nil, err
		}
		c.Write(b)
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := c.Read(b); err != nil {
			return nil, err
		}
		keep = append(keep, c)
	}
	return keep, nil
}

func init() {
	harness.Peers["floor-conn4k"] = harness.Peer{Serve: func() (string, error) { return connServe(false) }, Conns: connConns}
	harness.Peers["floor-connlazy"] = harness.Peer{Serve: func() (string, error) { return connServe(true) }, Conns: connConns}
}
