package faults_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/klauspost/compress/gzip"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/internal/faults"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest/memnet"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// Of a bomb: its size, what it becomes, and the largest message that is received.
const (
	bombSize    = 1 << 20
	bombContent = 1 << 30
	bombLimit   = 4 << 20
	bombPieces  = bombSize / 4 // of which each is four bytes
	bombPiece   = bombContent / bombPieces
)

// bombs are compressed messages of about 1 MiB that would become 1 GiB. Those
// that lie say that they have no more than the limit.
func bombs(t *testing.T) map[string]bomb {
	all := map[string]bomb{
		"gzip, many members": {codec.GzipID, gzipBomb(t, 1024), status.ResourceExhausted},
		"zstd":               {codec.ZstdID, zstdBomb(bombContent, bombPieces), status.ResourceExhausted},
		"zstd that lies":     {codec.ZstdID, zstdBomb(bombLimit, bombPieces), status.InvalidArgument},
		"s2":                 {codec.S2ID, s2Bomb(bombContent, bombPieces), status.ResourceExhausted},
		"s2 that lies":       {codec.S2ID, s2Bomb(bombLimit, bombPieces), status.InvalidArgument},
	}
	if whole {
		all["gzip"] = bomb{codec.GzipID, gzipBomb(t, 1), status.ResourceExhausted}
	}
	return all
}

type bomb struct {
	compression codec.CompressionID
	bytes       []byte
	code        status.Code // that the server ends the call with
}

// buffer is what a gzip.Writer writes to.
type buffer struct{ b []byte }

func (w *buffer) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

func gzipBomb(t *testing.T, members int) (all []byte) {
	t.Helper()
	var out buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range bombContent / members / len(zeros) {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for range members {
		all = append(all, out.b...)
	}
	return all
}

// zstdBomb is one frame of a single segment, of so many blocks that repeat a
// zero. It says that it has so many bytes.
func zstdBomb(says, pieces int) []byte {
	b := append(make([]byte, 0, bombSize+16), 0x28, 0xb5, 0x2f, 0xfd, 0xe0)
	b = binary.LittleEndian.AppendUint64(b, uint64(says))
	for i := range pieces {
		const head = bombPiece<<3 | 1<<1
		b = append(b, head&0xff|byte(i/(pieces-1)), head>>8, head>>16, 0)
	}
	return b
}

// s2Bomb is a block of one zero and of so many copies of what was before.
func s2Bomb(says, pieces int) []byte {
	b := binary.AppendUvarint(make([]byte, 0, bombSize+16), uint64(says))
	b = append(b, 0, 0)         // a literal of one byte
	b = append(b, 3<<2|2, 1, 0) // a copy of four, one byte back
	const more = bombPiece - 256 - 4
	for range pieces {
		b = append(b, 6<<2|1, 0, more&0xff, more>>8)
	}
	return b
}

// TestBombsAreBombs unpacks small ones where they may.
func TestBombsAreBombs(t *testing.T) {
	const pieces, content = 1024, 1024 * bombPiece
	for id, b := range map[codec.CompressionID]struct {
		bytes []byte
		want  int
	}{codec.ZstdID: {zstdBomb(content, pieces), content}, codec.S2ID: {s2Bomb(content+5, pieces), content + 5}} {
		if out, err := codec.NewCompressors().ByID(id).Decompress(b.bytes, b.want); err != nil || len(out) != b.want {
			t.Errorf("%v: %d bytes, %v", id, len(out), err)
		}
	}
}

// TestDecompressionBombs sends bombs to a server and to a client. All that they
// allocate, garbage included, is the limit and 64 KiB beyond what a message of
// the same size costs that does not begin to unpack.
func TestDecompressionBombs(t *testing.T) {
	all := bombs(t)
	for side, send := range map[string]func(*testing.T, codec.CompressionID, []byte) (status.Code, uint64){"server": bombServer, "client": bombClient} {
		for name, b := range all {
			t.Run(side+"/"+name, func(t *testing.T) {
				if len(b.bytes) > bombSize*11/10 {
					t.Fatalf("the bomb has %d bytes", len(b.bytes))
				}
				dud := make([]byte, len(b.bytes))
				dud[0] = 0xff
				_, _ = send(t, b.compression, dud) // whatever is allocated once
				_, base := send(t, b.compression, dud)
				code, got := send(t, b.compression, b.bytes)
				want := b.code
				if side == "client" && want == status.InvalidArgument {
					want = status.Internal
				}
				if code != want {
					t.Errorf("the call ended with %v, want %v", code, want)
				}
				added := int64(got) - int64(base)
				t.Logf("%d bytes that would be %d: %d KiB beyond the %d KiB of a dud", len(b.bytes), bombContent, added>>10, base>>10)
				if added > bombLimit+64<<10 {
					t.Errorf("%d bytes were allocated beyond the limit", added-bombLimit)
				}
			})
		}
	}
}

// allocated returns what this process has allocated so far.
func allocated() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// fragments returns the frames of a message of the stream: the first one has the
// type first, the last one the type last.
func fragments(first, last faults.Frame, compression codec.CompressionID, head, message []byte) (all []byte) {
	const part = 60_000
	for i := 0; i < len(message); i += part {
		piece := message[i:min(i+part, len(message))]
		f := faults.NewFrame(faults.Data, faults.Message|faults.More, first.ID(), piece)
		switch {
		case i == 0:
			f = first
			f.SetFlags(f.Flags() | faults.Message | faults.More | faults.Total)
			f.SetBody(append(binary.LittleEndian.AppendUint32(head, uint32(len(message))), piece...))
			f.SetCompression(byte(compression))
		case i+part >= len(message):
			f = last
			f.SetBody(piece)
		}
		all = f.Append(all)
	}
	return all
}

// bombServer calls a server with the message.
func bombServer(t *testing.T, compression codec.CompressionID, message []byte) (code status.Code, cost uint64) {
	const method = "faults.v1.Faults/Once"
	id := uint64(1)
	first := faults.NewFrame(faults.Open, faults.Name, id, nil)
	last := faults.NewFrame(faults.Data, faults.Message|faults.HalfClose, id, nil)
	call := fragments(first, last, compression, append([]byte{byte(len(method))}, method...), message)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(rpcxtest.NewNetwork())
		a := attack(t, w.Net)
		synctest.Wait()
		before := allocated()
		if err := a.send(call); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		cost = allocated() - before
		if err := a.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		for _, f := range a.read() {
			if f.Type() == faults.Close && f.ID() == id {
				code = status.Code(f.Code())
			}
		}
		w.Close()
		report(t, w, "bomb")
	})
	return code, cost
}

// bombClient answers a client with the message.
func bombClient(t *testing.T, compression codec.CompressionID, message []byte) (code status.Code, cost uint64) {
	first := faults.NewFrame(faults.Data, 0, 1, nil)
	last := faults.NewFrame(faults.Close, faults.Message, 1, nil)
	answer := fragments(first, last, compression, nil, message)
	synctest.Test(t, func(t *testing.T) {
		dialed, accepted := memnet.Pipe()
		defer accepted.Close()
		conn, err := rpcx.Dial("bomb:1", rpcx.WithDialer(func(context.Context, string, string) (net.Conn, error) { return dialed, nil }))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ended := make(chan status.Code)
		go func() {
			get := rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: "faults.v1.Bomb", Name: "Get"})
			_, err := rpcx.CallUnary(t.Context(), conn, get, wrapperspb.String("?"))
			ended <- status.CodeOf(err)
		}()
		settings := faults.NewFrame(faults.Settings, 0, 0, nil)
		_, _ = accepted.Write(append([]byte("\xfbRPX\r\n\x1a\x01"), settings.Append(nil)...))
		_, _ = io.ReadFull(accepted, make([]byte, faults.PrefaceSize))
		for {
			f, err := faults.ReadFrame(accepted)
			if err != nil {
				t.Fatal(err)
			}
			if f.Type() == faults.Open {
				break
			}
		}
		before := allocated()
		_, _ = accepted.Write(answer)
		code = <-ended
		cost = allocated() - before
	})
	return code, cost
}
