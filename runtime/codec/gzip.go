package codec

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// gzipCompressor is RFC 1952: what every HTTP peer understands.
type gzipCompressor struct {
	writers sync.Pool // of *gzip.Writer
	readers sync.Pool // of *gzip.Reader
}

func (*gzipCompressor) ID() CompressionID { return GzipID }
func (*gzipCompressor) Name() string      { return "gzip" }

func (g *gzipCompressor) AppendCompressed(dst, src []byte) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	w, ok := g.writers.Get().(*gzip.Writer)
	if ok {
		w.Reset(buf)
	} else {
		w = gzip.NewWriter(buf)
	}
	defer func() {
		w.Reset(io.Discard) // keeps nothing of the message
		g.writers.Put(w)
	}()
	if _, err := w.Write(src); err != nil {
		return dst, err
	}
	if err := w.Close(); err != nil {
		return dst, err
	}
	return buf.Bytes(), nil
}

func (g *gzipCompressor) Decompress(src []byte, limit int) ([]byte, error) {
	r, ok := g.readers.Get().(*gzip.Reader)
	if !ok {
		r = new(gzip.Reader)
	}
	defer g.readers.Put(r)
	if err := r.Reset(bytes.NewReader(src)); err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	out, err := readBounded(r, limit)
	if err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	return out, nil
}

// chunk is how much a bounded read takes at a time.
const chunk = 64 << 10

// readBounded reads r to its end, in chunks that are joined only when all is
// there and within limit, so that it never holds more than limit and a chunk
// of what turns out to be too large.
func readBounded(r io.Reader, limit int) ([]byte, error) {
	var chunks [][]byte
	total := 0
	for {
		buf := make([]byte, min(chunk, limit-total+1))
		n, err := fill(r, buf)
		total += n
		if total > limit {
			return nil, fmt.Errorf("%w of %d bytes", ErrTooLarge, limit)
		}
		chunks = append(chunks, buf[:n])
		if err == io.EOF {
			return bytes.Join(chunks, nil), nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// fill reads until buf is full or r ends; unlike io.ReadFull it leaves r's
// errors as they are.
func fill(r io.Reader, buf []byte) (int, error) {
	n := 0
	for n < len(buf) {
		m, err := r.Read(buf[n:])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
