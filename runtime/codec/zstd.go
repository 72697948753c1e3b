package codec

import (
	"errors"
	"fmt"
	"io"
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
	size := int(h.FrameContentSize)
	least, most, err := blocksContent(src[h.HeaderSize:], size)
	if err != nil {
		return nil, err
	}
	if least > size || most < size {
		return nil, fmt.Errorf("zstd: blocks of %d to %d bytes where the frame states %d", least, most, size)
	}
	// The decoder sees that a block goes too far when it has appended it: with
	// room for that block the buffer need not grow, which would copy all of it.
	out, err := z.dec.DecodeAll(src, make([]byte, 0, min(most, size+maxBlock)))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	if len(out) != size {
		return nil, fmt.Errorf("zstd: %d bytes where the frame states %d", len(out), size)
	}
	return out[:size:size], nil
}

// maxBlock is the largest content of a block.
const maxBlock = 128 << 10

// blocksContent walks the headers of a frame's blocks, and returns how many
// bytes they have at least and at most once they are decoded. Size is what the
// frame states, which no block of it may exceed.
func blocksContent(src []byte, size int) (least, most int, err error) {
	const raw, repeated, compressed, headerSize = 0, 1, 2, 3
	for last := false; !last; {
		if len(src) < headerSize {
			return 0, 0, fmt.Errorf("zstd: %w", io.ErrUnexpectedEOF)
		}
		head := int(src[0]) | int(src[1])<<8 | int(src[2])<<16
		src = src[headerSize:]
		last = head&1 == 1
		n := head >> 3 // bytes of the block, or of its content
		stored := n
		switch head >> 1 & 3 {
		case raw:
			least, most = least+n, most+n
		case repeated:
			stored = 1
			least, most = least+n, most+n
		case compressed:
			most += min(maxBlock, size)
		default:
			return 0, 0, errors.New("zstd: a block of a reserved type")
		}
		if stored > len(src) {
			return 0, 0, fmt.Errorf("zstd: %w", io.ErrUnexpectedEOF)
		}
		src = src[stored:]
	}
	return least, most, nil
}
