package codec

import (
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// zstdCompressor is RFC 8878, one frame that states its content's size: the best
// ratio for its speed. Encoder and decoder hold channels, and so belong to whoever
// made the compressor.
type zstdCompressor struct {
	once sync.Once
	enc  *zstd.Encoder
	dec  *zstd.Decoder
	err  error
}

// start makes encoder and decoder when they are first wanted. Both are used
// for whole messages only, which may be done concurrently and starts no goroutine.
func (z *zstdCompressor) start() error {
	z.once.Do(func() {
		z.enc, z.err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true), zstd.WithSingleSegment(true), zstd.WithZeroFrames(true))
		if z.err == nil {
			z.dec, z.err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true))
		}
	})
	return z.err
}

func (*zstdCompressor) ID() CompressionID { return ZstdID }
func (*zstdCompressor) Name() string      { return "zstd" }

func (z *zstdCompressor) AppendCompressed(dst, src []byte) ([]byte, error) {
	if err := z.start(); err != nil {
		return dst, err
	}
	return z.enc.EncodeAll(src, dst), nil
}

func (z *zstdCompressor) Decompress(src []byte, limit int) ([]byte, error) {
	if err := z.start(); err != nil {
		return nil, err
	}
	var h zstd.Header
	if err := h.Decode(src); err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	switch {
	case h.Skippable:
		return nil, errors.New("zstd: a skippable frame")
	case !h.HasFCS:
		return nil, errors.New("zstd: the frame does not state its content's size")
	case h.FrameContentSize > uint64(limit):
		return nil, fmt.Errorf("zstd: %w of %d bytes: it has %d", ErrTooLarge, limit, h.FrameContentSize)
	}
	// The decoder writes no further than the buffer's capacity.
	out, err := z.dec.DecodeAll(src, make([]byte, 0, h.FrameContentSize))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	if uint64(len(out)) != h.FrameContentSize {
		return nil, fmt.Errorf("zstd: %d bytes where the frame states %d", len(out), h.FrameContentSize)
	}
	return out, nil
}
