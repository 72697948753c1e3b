package httpform

import (
	"io"
	"sync"

	"connectrpc.com/connect/v2"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/rpcx-go/rpcx/runtime/codec"
)

// Compressors returns those of ids that HTTP knows, in their order, made for one
// server or client: what they keep for the next message belongs to that.
func Compressors(ids []codec.CompressionID) []connect.Compressor {
	var all []connect.Compressor
	for _, id := range ids {
		switch id {
		case codec.GzipID:
			all = append(all, &gzipCompressor{})
		case codec.ZstdID:
			all = append(all, &zstdCompressor{})
		}
	}
	return all
}

// Over HTTP peers send streams of compressed blocks, which need not say how much
// is in them: connect counts what comes out and stops at the limit.

// gzipCompressor compresses for HTTP. Its state is kept for the next message.
type gzipCompressor struct{ writers, readers sync.Pool }

func (*gzipCompressor) Name() string { return connect.CompressionNameGzip }

func (c *gzipCompressor) Compress(dst io.Writer) (io.WriteCloser, error) {
	w, ok := c.writers.Get().(*gzip.Writer)
	if !ok {
		var err error
		if w, err = gzip.NewWriterLevel(dst, gzip.BestSpeed); err != nil {
			return nil, err
		}
	}
	w.Reset(dst)
	return &pooled{WriteCloser: w, give: func() { c.writers.Put(w) }}, nil
}

func (c *gzipCompressor) Decompress(src io.Reader) (io.ReadCloser, error) {
	r, ok := c.readers.Get().(*gzip.Reader)
	if !ok {
		r = new(gzip.Reader)
	}
	if err := r.Reset(src); err != nil {
		return nil, err
	}
	return &pooledReader{Reader: r, give: func() { c.readers.Put(r) }}, nil
}

// zstdCompressor is gzipCompressor's better brother.
type zstdCompressor struct{ writers, readers sync.Pool }

func (*zstdCompressor) Name() string { return connect.CompressionNameZstd }

func (c *zstdCompressor) Compress(dst io.Writer) (io.WriteCloser, error) {
	w, ok := c.writers.Get().(*zstd.Encoder)
	if !ok {
		var err error
		// One goroutine: that which writes.
		if w, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true)); err != nil {
			return nil, err
		}
	}
	w.Reset(dst)
	return &pooled{WriteCloser: w, give: func() { c.writers.Put(w) }}, nil
}

// maxWindow is how far back a frame of zstd may refer: what RFC 8878 asks
// everybody to support, and what the memory of a decoder is bounded by.
const maxWindow = 8 << 20

func (c *zstdCompressor) Decompress(src io.Reader) (io.ReadCloser, error) {
	r, ok := c.readers.Get().(*zstd.Decoder)
	if !ok {
		var err error
		if r, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow)); err != nil {
			return nil, err
		}
	}
	if err := r.Reset(src); err != nil {
		return nil, err
	}
	return &pooledReader{Reader: r, give: func() { c.readers.Put(r) }}, nil
}

// pooled gives a compressor back when it is closed.
type pooled struct {
	io.WriteCloser
	give func()
}

func (p *pooled) Close() error {
	err := p.WriteCloser.Close()
	if p.give != nil && err == nil {
		p.give()
	}
	p.give = nil
	return err
}

// pooledReader gives a decompressor back when it is closed.
type pooledReader struct {
	io.Reader
	give func()
}

func (p *pooledReader) Close() error {
	if p.give != nil {
		p.give()
	}
	p.give = nil
	return nil
}
