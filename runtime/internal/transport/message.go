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
	value       any
	encoded     []byte // nil while value is to be marshalled
	size        int    // bytes as sent
	compression codec.CompressionID
}

// message prepares v for sending: it checks the size and compresses what is
// worth it and the peer accepts.
func (l *link) message(v any) (message, error) {
	size, err := codec.Size(l.cfg.Codec, v)
	if err != nil {
		return message{}, err
	}
	if limit := int(l.peer().MaxMessage); size > limit {
		return message{}, status.Errorf(status.ResourceExhausted, "message of %d bytes is above the limit of %d of the %s that was to receive it (its option WithMaxMessageSize)", size, limit, l.peerRole())
	}
	m := message{value: v, size: size}
	if c := l.cfg.Compressor; c != nil && size >= l.cfg.CompressFrom && l.peer().AcceptsCompression(uint8(c.ID())) {
		err = m.compress(l.cfg.Codec, c)
	}
	return m, err
}

// compress compresses m unless that makes it larger.
func (m *message) compress(c codec.Codec, with codec.Compressor) error {
	if err := m.encode(c); err != nil {
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
func (m *message) encode(c codec.Codec) (err error) {
	if m.encoded == nil {
		m.encoded, err = codec.Append(c, make([]byte, 0, m.size), m.value, m.size)
	}
	return err
}

// append appends m's bytes to b; if it fails, b is as it was.
func (m *message) append(c codec.Codec, b []byte) ([]byte, error) {
	if m.encoded != nil {
		return append(b, m.encoded...), nil
	}
	return codec.Append(c, b, m.value, m.size)
}

// begin says in h, the first frame of m, how m is encoded.
func (m *message) begin(c codec.Codec, h *frame.Header) {
	h.Codec, h.Compression = uint8(c.ID()), uint8(m.compression)
}

// decode fills v from a message that arrived. v may refer to data afterwards if
// own says that nobody else will use it. Its errors carry no code, except
// RESOURCE_EXHAUSTED for one that is too large once it is decompressed.
func (l *link) decode(compression uint8, data []byte, own bool, v any) error {
	if compression != 0 {
		c := l.cfg.Compressors.ByID(codec.CompressionID(compression))
		var err error
		data, err = c.Decompress(data, int(l.cfg.Settings.MaxMessage))
		if errors.Is(err, codec.ErrTooLarge) {
			return status.Errorf(status.ResourceExhausted, "%w (option WithMaxMessageSize)", err)
		}
		if err != nil {
			return fmt.Errorf("decompress: %w", err)
		}
		own = true
	}
	// What refers to data keeps all of it alive, so not more than it is worth.
	if own && cap(data) <= 2*len(data) {
		return codec.DecodeOwned(l.cfg.Codec, data, v)
	}
	return codec.Decode(l.cfg.Codec, data, v)
}

// undecodable gives an error of decode the given code unless it has one.
func undecodable(err error, code status.Code, what string) *status.Error {
	if status.CodeOf(err) != status.Unknown {
		return status.FromError(err)
	}
	return status.New(code, what+": "+err.Error()).WithCause(err)
}
