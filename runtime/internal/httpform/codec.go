// Package httpform is the form that calls have over HTTP, on both ends: metadata
// as headers, errors, and codecs and compressors as connectrpc.com/connect/v2
// wants them. It links no net/http.
package httpform

import (
	"bytes"
	"context"
	"io"
	"sync"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	"github.com/rpcx-go/rpcx/runtime/codec"
)

// Encoded is a message that is in bytes already.
type Encoded []byte

// Codec has connect use one of our codecs.
type Codec struct{ codec.Codec }

// MarshalWrite implements connect.Codec.
func (c Codec) MarshalWrite(_ context.Context, dst io.Writer, msg any) error {
	if b, ok := msg.(Encoded); ok {
		_, err := dst.Write(b)
		return err
	}
	size, err := codec.Size(c.Codec, msg)
	if err != nil {
		return err
	}
	var room []byte
	if b, ok := dst.(interface {
		Grow(n int)
		AvailableBuffer() []byte
	}); ok {
		b.Grow(size)
		room = b.AvailableBuffer()
	}
	out, err := codec.Append(c.Codec, room, msg, size)
	if err != nil {
		return err
	}
	_, err = dst.Write(out)
	return err
}

// MarshalWriteStable implements connect.StableCodec, for messages that become part
// of a URL.
func (c Codec) MarshalWriteStable(ctx context.Context, dst io.Writer, msg any) error {
	m, ok := msg.(proto.Message)
	if !ok || c.ID() != codec.ProtoID {
		return c.MarshalWrite(ctx, dst, msg)
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err == nil {
		_, err = dst.Write(b)
	}
	return err
}

// IsBinary implements connect.StableCodec.
func (c Codec) IsBinary() bool { return c.ID() != codec.JSONID }

// buffers hold messages while they are decoded.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// keepBuffer is the largest buffer that is kept for the next message.
const keepBuffer = 256 << 10

// UnmarshalRead implements connect.Codec.
func (c Codec) UnmarshalRead(_ context.Context, src io.Reader, msg any) error {
	b := buffers.Get().(*bytes.Buffer)
	defer func() {
		if b.Cap() <= keepBuffer {
			b.Reset()
			buffers.Put(b)
		}
	}()
	if _, err := b.ReadFrom(src); err != nil {
		return err
	}
	return codec.Decode(c.Codec, b.Bytes(), msg)
}

// Moved returns how many bytes a message took.
func Moved(s connect.MessageStats) int64 {
	if s.CompressedSize > 0 {
		return int64(s.CompressedSize)
	}
	return int64(s.Size)
}
