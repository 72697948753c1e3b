package codec

import (
	"errors"
	"strconv"
)

// CompressionID is a compression's number in native frames. Numbers are
// assigned by docs/protocol.md and never change.
type CompressionID uint8

// The compressions that the native protocol knows.
const (
	IdentityID CompressionID = 0
	GzipID     CompressionID = 1
	ZstdID     CompressionID = 2
	S2ID       CompressionID = 3
)

// Compressor compresses whole messages. Compressors are used concurrently.
type Compressor interface {
	// ID returns the compression's number in frames.
	ID() CompressionID
	// Name returns its name in headers: "gzip", "zstd", "s2".
	Name() string
	// AppendCompressed appends src, compressed, to dst.
	AppendCompressed(dst, src []byte) ([]byte, error)
	// Decompress returns what src was before it was compressed. It never holds
	// much more than limit bytes: ErrTooLarge says that there would be more.
	Decompress(src []byte, limit int) ([]byte, error)
}

// ErrTooLarge says that a message is above the limit once it is decompressed.
var ErrTooLarge = errors.New("decompressed message is above the limit")

// Compressors are all compressors there are, made for one server or client
// connection: what they keep for the next message belongs to that.
type Compressors struct {
	all [3]Compressor
}

// NewCompressors returns a set of compressors.
func NewCompressors() *Compressors {
	s := new(struct {
		Compressors
		gzip gzipCompressor
		zstd zstdCompressor
	})
	s.all = [...]Compressor{&s.gzip, &s.zstd, s2Compressor{}}
	return &s.Compressors
}

// All returns all compressors.
func (s *Compressors) All() []Compressor { return s.all[:] }

// ByName returns the compressor called name, or nil.
func (s *Compressors) ByName(name string) Compressor {
	for _, c := range s.all {
		if c.Name() == name {
			return c
		}
	}
	return nil
}

// ByID returns the compressor of the given number, or nil.
func (s *Compressors) ByID(id CompressionID) Compressor {
	for _, c := range s.all {
		if c.ID() == id {
			return c
		}
	}
	return nil
}

// String returns the compression's name, or its number if it has none.
func (id CompressionID) String() string {
	switch id {
	case IdentityID:
		return "identity"
	case GzipID:
		return "gzip"
	case ZstdID:
		return "zstd"
	case S2ID:
		return "s2"
	}
	return strconv.Itoa(int(id))
}
