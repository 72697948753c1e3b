package faults_test

import (
	"context"
	"io"
	"net"
	"runtime"
	"testing"

	"github.com/rpcx-go/rpcx/runtime/internal/faults"
)

// attacker speaks the protocol by hand.
type attacker struct {
	t testing.TB
	net.Conn
}

// attack dials the server and sends preface and SETTINGS.
func attack(t testing.TB, network faults.Network) *attacker {
	t.Helper()
	conn, err := network.Dial(context.Background(), "mem", "server-1")
	if err != nil {
		t.Fatal(err)
	}
	a := &attacker{t, conn}
	settings := faults.NewFrame(faults.Settings, 0, 0, nil)
	if err := a.send([]byte("\xfbRPX\r\n\x1a\x01"), settings.Append(nil)); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *attacker) send(parts ...[]byte) error {
	for _, b := range parts {
		if _, err := a.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// CloseWrite ends what the attacker sends.
func (a *attacker) CloseWrite() error {
	return a.Conn.(interface{ CloseWrite() error }).CloseWrite()
}

// open returns an OPEN that names the method.
func open(id uint64, flags uint16, method string, rest ...byte) []byte {
	payload := append([]byte{byte(len(method))}, method...)
	f := faults.NewFrame(faults.Open, flags|faults.Name, id, append(payload, rest...))
	return f.Append(nil)
}

// read returns the frames that the server sends until the connection ends.
func (a *attacker) read() (frames []faults.Frame) {
	if _, err := io.ReadFull(a, make([]byte, faults.PrefaceSize)); err != nil {
		return nil
	}
	for {
		f, err := faults.ReadFrame(a)
		if err != nil {
			return frames
		}
		frames = append(frames, f)
	}
}

// heap returns the bytes in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
