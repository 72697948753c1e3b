package codec

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func samples() map[string][]byte {
	random := make([]byte, 300_000)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(random) // it never fails
	return map[string][]byte{
		"empty":  {},
		"byte":   {7},
		"text":   bytes.Repeat([]byte("to be or not to be "), 10_000),
		"random": random,
	}
}

func TestCompressors(t *testing.T) {
	all := NewCompressors()
	for _, c := range all.All() {
		if all.ByName(c.Name()) != c || all.ByID(c.ID()) != c || c.ID().String() != c.Name() {
			t.Errorf("%s is not found by its name and number", c.Name())
		}
		for name, src := range samples() {
			prefix := []byte("prefix")
			got, err := c.AppendCompressed(prefix, src)
			if err != nil {
				t.Fatalf("%s of %s: %v", c.Name(), name, err)
			}
			if !bytes.HasPrefix(got, prefix) {
				t.Fatalf("%s of %s: the prefix is gone", c.Name(), name)
			}
			packed := got[len(prefix):]
			back, err := c.Decompress(packed, len(src))
			if err != nil || !bytes.Equal(back, src) {
				t.Errorf("%s of %s: %d bytes came back, %v", c.Name(), name, len(back), err)
			}
			if len(src) == 0 {
				continue
			}
			if _, err := c.Decompress(packed, len(src)-1); !errors.Is(err, ErrTooLarge) {
				t.Errorf("%s of %s below its size: %v, want ErrTooLarge", c.Name(), name, err)
			}
			for cut := 0; cut < len(packed); cut += 1 + len(packed)/50 {
				if back, err := c.Decompress(packed[:cut], len(src)); err == nil {
					t.Errorf("%s of %s cut at %d: %d bytes and no error", c.Name(), name, cut, len(back))
				}
			}
		}
	}
}

// TestBomb: what would become many times the limit costs little more than the limit.
func TestBomb(t *testing.T) {
	const limit = 4 << 20
	src := make([]byte, 32<<20)
	for _, c := range NewCompressors().All() {
		bomb, err := c.AppendCompressed(nil, src)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err = c.Decompress(bomb, limit)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v, want ErrTooLarge", c.Name(), err)
		}
		// All that was allocated, garbage included; a decoder's own tables are
		// the allowance.
		if got := after.TotalAlloc - before.TotalAlloc; got > limit+1<<20 {
			t.Errorf("%s: %d bytes allocated", c.Name(), got)
		}
	}
}

// TestZstdLies: the size that a frame states binds it.
func TestZstdLies(t *testing.T) {
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	one := enc.EncodeAll([]byte("hello"), nil)
	for name, src := range map[string][]byte{
		"two frames":     append(bytes.Clone(one), one...),
		"trailing bytes": append(bytes.Clone(one), 1, 2, 3),
		"skippable":      {0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 0},
	} {
		if got, err := NewCompressors().ByName("zstd").Decompress(src, 1<<20); err == nil {
			t.Errorf("%s: %q and no error", name, got)
		}
	}
}

func FuzzDecompress(f *testing.F) {
	for _, c := range NewCompressors().All() {
		for _, src := range samples() {
			packed, err := c.AppendCompressed(nil, src[:min(len(src), 2000)])
			if err != nil {
				f.Fatal(err)
			}
			f.Add(uint8(c.ID()), packed)
		}
	}
	all := NewCompressors()
	f.Fuzz(func(t *testing.T, id uint8, src []byte) {
		c := all.ByID(CompressionID(id))
		if c == nil {
			return
		}
		const limit = 64 << 10
		out, err := c.Decompress(src, limit)
		if len(out) > limit {
			t.Errorf("%s: %d bytes with a limit of %d", c.Name(), len(out), limit)
		}
		if err != nil {
			return
		}
		packed, err := c.AppendCompressed(nil, out)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := c.Decompress(packed, limit); err != nil || !bytes.Equal(back, out) {
			t.Errorf("%s: does not come back: %v", c.Name(), err)
		}
	})
}
