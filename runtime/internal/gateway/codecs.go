package gateway

import (
	"bytes"
	"context"
	"io"
	"sync"

	"connectrpc.com/connect/v2"

	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/internal/fallback"
)

// codecs are how messages travel over HTTP.
type codecs struct {
	binary, json httpCodec
	compressors  []connect.Compressor
	compressFrom int
}

// defaultCompressFrom is the size from which answers are compressed if the
// server's user has not said anything: less is not worth it.
const defaultCompressFrom = 1 << 10

func newCodecs(cfg *fallback.Config) codecs {
	c := codecs{
		binary:       httpCodec{codec.Proto},
		json:         httpCodec{jsonCodec(cfg)},
		compressFrom: cfg.CompressFrom,
	}
	if c.compressFrom == 0 {
		c.compressFrom = defaultCompressFrom
	}
	for _, id := range cfg.Compressions {
		switch id {
		case codec.GzipID:
			c.compressors = append(c.compressors, &gzipCompressor{})
		case codec.ZstdID:
			c.compressors = append(c.compressors, &zstdCompressor{})
		}
	}
	return c
}

func (c *codecs) all() []connect.Codec { return []connect.Codec{c.binary, c.json} }

// of returns the codec of the given name.
func (c *codecs) of(name string) codec.Codec {
	if name == c.json.Name() {
		return c.json.Codec
	}
	return c.binary.Codec
}

// httpCodec has connect use one of our codecs.
type httpCodec struct{ codec.Codec }

// MarshalWrite implements connect.Codec.
func (c httpCodec) MarshalWrite(_ context.Context, dst io.Writer, msg any) error {
	if b, ok := msg.(encoded); ok {
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

// buffers hold messages while they are decoded.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// keepBuffer is the largest buffer that is kept for the next message.
const keepBuffer = 256 << 10

// UnmarshalRead implements connect.Codec.
func (c httpCodec) UnmarshalRead(_ context.Context, src io.Reader, msg any) error {
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
