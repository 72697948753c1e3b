package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/internal/frame/vectors"
)

// pieces is a connection whose reads return what was recorded, in pieces whose
// sizes repeat, and whose end is clean.
type pieces struct {
	net.Conn // nothing else is used
	rest     []byte
	sizes    []byte
	n        int
	largest  int // buffer that a read was given
}

func (p *pieces) Read(b []byte) (int, error) {
	p.largest = max(p.largest, len(b))
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	size := len(p.rest)
	if len(p.sizes) > 0 {
		size = 1 + int(p.sizes[p.n%len(p.sizes)])
		p.n++
	}
	n := copy(b, p.rest[:min(size, len(p.rest))])
	p.rest = p.rest[n:]
	return n, nil
}

// taken is what somebody made of a recording: its frames, each as it stands on
// the wire without its checksum, and how it ended.
type taken struct {
	frames []string
	end    string
}

func (a *taken) String() string {
	return fmt.Sprintf("%d frames %q, then %s", len(a.frames), a.frames, a.end)
}

// readFrames has a reader take the recording.
func readFrames(d *reader) (all taken) {
	err := d.preface()
	for err == nil {
		var h frame.Header
		var payload []byte
		if payload, err = d.next(&h); err == nil {
			all.frames = append(all.frames, string(h.Append(nil))+string(payload))
		}
	}
	all.end = verdict(err)
	return all
}

// verdict says what an end means to the peer.
func verdict(err error) string {
	var breach *frame.Error
	switch {
	case errors.As(err, &breach):
		return breach.Code.String()
	case errors.Is(err, errNotRPCX):
		return "not rpcx"
	}
	return err.Error()
}

// cutFrames says what readFrames must find, as sections 3.2 and 4 have it: it
// looks at the recording as a whole.
func cutFrames(b []byte, maxPayload uint32, sums bool) (all taken) {
	switch frame.Sniff(b) {
	case frame.NotNative:
		return taken{end: "not rpcx"}
	case frame.NativeOtherVersion:
		return taken{end: frame.VersionError.String()}
	case frame.NeedMore:
		return taken{end: endOf(b)}
	}
	for b = b[frame.PrefaceSize:]; ; {
		if len(b) < frame.HeaderSize {
			all.end = endOf(b)
			return all
		}
		h, err := frame.ParseHeader(b)
		if err == nil {
			err = h.Validate(maxPayload)
		}
		if err != nil {
			all.end = verdict(err)
			return all
		}
		size, sum := frame.HeaderSize+int(h.Length), 0
		if h.Flags.Has(frame.FlagChecksum) {
			sum = 4
		}
		switch {
		case len(b) < size+sum:
			all.end = io.ErrUnexpectedEOF.Error()
			return all
		case sum > 0 && !sums:
			all.end = frame.ProtocolError.String()
			return all
		case sum > 0 && !bytes.Equal(frame.AppendChecksum(bytes.Clone(b[:size]), 0), b[:size+sum]):
			all.end = frame.ChecksumError.String()
			return all
		}
		all.frames = append(all.frames, string(b[:size]))
		b = b[size+sum:]
	}
}

func endOf(rest []byte) string {
	if len(rest) > 0 {
		return io.ErrUnexpectedEOF.Error()
	}
	return io.EOF.Error()
}

// FuzzReader: the frames of a recording are the same however its bytes arrive,
// and the buffer grows with what was received, not with what headers declare.
func FuzzReader(f *testing.F) {
	all, err := vectors.Load("../../../testdata/wire")
	if err != nil {
		f.Fatal(err)
	}
	for _, v := range all {
		for _, dir := range []vectors.Dir{vectors.Client, vectors.Server} {
			recorded := []byte(frame.Preface)
			for _, u := range v.Units {
				if u.Dir == dir && !bytes.HasPrefix(u.Bytes, []byte(frame.Preface[:4])) {
					recorded = append(recorded, u.Bytes...)
				}
			}
			if len(recorded) < 5_000 {
				f.Add(recorded, []byte{}, false)
				f.Add(recorded, []byte{0}, true)
				f.Add(recorded, []byte{6, 22, 40}, true)
			}
		}
	}
	declared := frame.Header{Type: frame.TypeData, Flags: frame.FlagMessage, ID: 1, Length: 64 << 10}
	f.Add(declared.Append([]byte(frame.Preface)), []byte{}, false)
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n"), []byte{2}, false)
	f.Add([]byte("\xfbRPX\r\n\x1a\x02"), []byte{}, false)
	f.Fuzz(func(t *testing.T, recorded, sizes []byte, sums bool) {
		const limit = 64 << 10
		want := cutFrames(recorded, limit, sums)
		conn := &pieces{rest: recorded, sizes: sizes}
		var d reader
		d.init(conn, nil, limit)
		d.sums = sums
		if got := readFrames(&d); got.String() != want.String() {
			t.Errorf("pieces of %d: got %v\nwant %v", sizes, &got, &want)
		}
		if most := max(conn.largest, len(d.buf)); most > max(smallBuffer, 4*len(recorded)) || most > fullBuffer {
			t.Errorf("a buffer of %d bytes for %d in frames of at most %d", most, len(recorded), limit)
		}
		d.giveBack()
	})
}
