package codec

import (
	"fmt"

	"github.com/klauspost/compress/s2"
)

// s2Compressor is a block of klauspost/compress's extension of Snappy: the fastest.
type s2Compressor struct{}

func (s2Compressor) ID() CompressionID { return S2ID }
func (s2Compressor) Name() string      { return "s2" }

func (s2Compressor) AppendCompressed(dst, src []byte) ([]byte, error) {
	most := s2.MaxEncodedLen(len(src))
	if most < 0 {
		return dst, fmt.Errorf("s2: %d bytes are too many for a block", len(src))
	}
	at := len(dst)
	if cap(dst)-at < most {
		dst = append(make([]byte, 0, at+most), dst...)
	}
	return dst[:at+len(s2.Encode(dst[at:at+most], src))], nil
}

func (s2Compressor) Decompress(src []byte, limit int) ([]byte, error) {
	n, err := s2.DecodedLen(src)
	if err != nil {
		return nil, fmt.Errorf("s2: %w", err)
	}
	if n > limit {
		return nil, fmt.Errorf("s2: %w of %d bytes: it has %d", ErrTooLarge, limit, n)
	}
	out, err := s2.Decode(make([]byte, n), src)
	if err != nil {
		return nil, fmt.Errorf("s2: %w", err)
	}
	return out, nil
}
