package codec

import "errors"

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

var compressors = [...]Compressor{Gzip, Zstd, S2}

// Compressors returns all compressors there are.
func Compressors() []Compressor { return compressors[:] }

// CompressorByName returns the compressor called name, or nil.
func CompressorByName(name string) Compressor {
	for _, c := range compressors {
		if c.Name() == name {
			return c
		}
	}
	return nil
}

// CompressorByID returns the compressor of the given number, or nil.
func CompressorByID(id CompressionID) Compressor {
	for _, c := range compressors {
		if c.ID() == id {
			return c
		}
	}
	return nil
}
