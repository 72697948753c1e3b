package transport

import (
	"errors"
	"fmt"

	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// message is a message on its way out: a value that is marshalled straight into
// the connection's buffer, or, if it is compressed or was marshalled before, its
// bytes.
type message struct {
	codec       codec.Codec
	value       any
	encoded     []byte    // nil while value is to be marshalled
	in          *encoding // what free releases, if encoded is in one
	size        int       // bytes as sent
	compression codec.CompressionID
}

// codec returns the codec with the given id, nil if it is not spoken here.
func (l *link) codec(id uint8) codec.Codec {
	if c := l.cfg.Codec; uint8(c.ID()) == id {
		return c
	}
	for _, c := range l.cfg.Codecs {
		if uint8(c.ID()) == id {
			return c
		}
	}
	return nil
}

// prepare makes m the message v in the codec in, to be sent on l: it checks the size
// and compresses what is worth it and the peer accepts.
func (m *message) prepare(l *link, in codec.Codec, v any) error {
	size, err := codec.Size(in, v)
	if err != nil {
		return err
	}
	return m.sized(l, in, v, size)
}

// sized is prepare for a value whose size has just been computed.
func (m *message) sized(l *link, in codec.Codec, v any, size int) error {
	if limit := int(l.peer().MaxMessage); size > limit {
		return l.aboveLimit(size, limit)
	}
	*m = message{codec: in, value: v, size: size}
	if c := l.cfg.Compressor; c != nil && size >= l.cfg.CompressFrom && l.peer().AcceptsCompression(uint8(c.ID())) {
		return m.compress(c)
	}
	return nil
}

func (l *link) aboveLimit(size, limit int) error {
	return status.Errorf(status.ResourceExhausted, "message of %d bytes is above the limit of %d of the %s that was to receive it (its option WithMaxMessageSize)", size, limit, l.peerRole())
}

// compress compresses m unless that makes it larger.
func (m *message) compress(with codec.Compressor) error {
	if err := m.encode(); err != nil {
		return err
	}
	packed, err := with.AppendCompressed(nil, m.encoded)
	if err != nil {
		return status.Errorf(status.Internal, "compress: %w", err)
	}
	if len(packed) < m.size {
		m.encoded, m.size, m.compression = packed, len(packed), with.ID()
	}
	return nil
}

// encode marshals m if that has not been done.
func (m *message) encode() (err error) {
	if m.encoded == nil {
		m.encoded, err = codec.Append(m.codec, make([]byte, 0, m.size), m.value, m.size)
	}
	return err
}

// encodePooled is encode for those who call free when they do not need the bytes
// any more.
func (m *message) encodePooled() (err error) {
	if m.encoded != nil {
		return nil
	}
	e := takeEncoding(m.size)
	if e.b, err = codec.Append(m.codec, e.b, m.value, m.size); err != nil {
		e.release()
		return err
	}
	m.encoded, m.in = e.b, e
	return nil
}

// referred reports whether w is to refer to m, which is marshalled beforehand then.
func (m *message) referred(w *writer) bool {
	return m.size >= leastReferred && w.refers.Load()
}

// free releases what encodePooled took.
func (m *message) free() {
	if m.in != nil {
		m.in.release()
		m.encoded, m.in = nil, nil
	}
}

// append appends m's bytes to b; if it fails, b is as it was.
func (m *message) append(b []byte) ([]byte, error) {
	if m.encoded != nil {
		return append(b, m.encoded...), nil
	}
	return codec.Append(m.codec, b, m.value, m.size)
}

// begin says in h, the first frame of m, how m is encoded.
func (m *message) begin(h *frame.Header) {
	h.Codec, h.Compression = uint8(m.codec.ID()), uint8(m.compression)
}

// decode fills v from a message that arrived in the codec in. v may refer to data
// afterwards if own says that nobody else will use it. Its errors carry no code,
// except RESOURCE_EXHAUSTED for one that is too large once it is decompressed.
//
// It is on the stack of every handler's goroutine, which stays small while no more than
// that is there.
func (l *link) decode(in codec.Codec, compression uint8, data []byte, own bool, v any) error {
	if compression != 0 {
		return l.decodeCompressed(in, compression, data, v)
	}
	// What refers to data keeps all of it alive, so not more than it is worth.
	if own && cap(data) <= 2*len(data) {
		return codec.DecodeOwned(in, data, v)
	}
	return codec.Decode(in, data, v)
}

func (l *link) decodeCompressed(in codec.Codec, compression uint8, data []byte, v any) error {
	c := l.cfg.Compressors.ByID(codec.CompressionID(compression))
	data, err := c.Decompress(data, int(l.cfg.Settings.MaxMessage))
	if errors.Is(err, codec.ErrTooLarge) {
		return status.Errorf(status.ResourceExhausted, "%w (option WithMaxMessageSize)", err)
	}
	if err != nil {
		return fmt.Errorf("decompress: %w", err)
	}
	return l.decode(in, 0, data, true, v)
}

// undecodable gives an error of decode the given code unless it has one.
func undecodable(err error, code status.Code, what string) *status.Error {
	if status.CodeOf(err) != status.Unknown {
		return status.FromError(err)
	}
	return status.New(code, what+": "+err.Error()).WithCause(err)
}
