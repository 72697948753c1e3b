package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"runtime/metrics"
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

// TestZstdGoesTooFar: a frame of compressed blocks that have more than it states
// costs a block more than that, not another copy of all.
func TestZstdGoesTooFar(t *testing.T) {
	const limit = 2 << 20
	src := make([]byte, limit+limit/4)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(src) // it never fails
	for i := range src {
		src[i] &= 7
	}
	c := NewCompressors().ByName("zstd")
	packed, err := c.AppendCompressed(nil, src)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Decompress(packed, len(src)); err != nil {
		t.Fatal(err)
	}
	const at = 5 // of the size, in four bytes
	if got := binary.LittleEndian.Uint32(packed[at:]); got != uint32(len(src)) {
		t.Fatalf("the frame states %d bytes", got)
	}
	binary.LittleEndian.PutUint32(packed[at:], limit)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	out, err := c.Decompress(packed, limit)
	runtime.ReadMemStats(&after)
	if err == nil || out != nil {
		t.Errorf("%d bytes and error %v", len(out), err)
	}
	// The allowance is for the decoder's tables, as in TestBomb.
	if got := after.TotalAlloc - before.TotalAlloc; got > limit+maxBlock+1<<20 {
		t.Errorf("%d bytes allocated", got)
	}
}

// allocated returns how many bytes this process has allocated so far. Small
// objects are counted late, but counted.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// FuzzDecompress: whatever the bytes say, what comes out is within the limit,
// no more than a decoder and the limit is allocated for it, and what did come
// out can be packed and unpacked again.
func FuzzDecompress(f *testing.F) {
	// Small, so that inputs come often; the bomb tests have limits of real size.
	const limit, decoder = 4 << 10, 1 << 20
	all := NewCompressors()
	for i, c := range all.All() {
		for _, src := range samples() {
			packed, err := c.AppendCompressed(nil, src[:min(len(src), 300)])
			if err != nil {
				f.Fatal(err)
			}
			f.Add(uint8(i), packed)
			f.Add(uint8(i), packed[:len(packed)/2])
		}
		bomb, err := c.AppendCompressed(nil, make([]byte, limit+1))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), bomb)
	}
	f.Fuzz(func(t *testing.T, which uint8, src []byte) {
		c := all.All()[int(which)%len(all.All())]
		before := allocated()
		out, err := c.Decompress(src, limit)
		if after := allocated(); after-before > limit+decoder {
			t.Errorf("%s: %d bytes allocated for %d with a limit of %d", c.Name(), after-before, len(src), limit)
		}
		if len(out) > limit {
			t.Errorf("%s: %d bytes with a limit of %d", c.Name(), len(out), limit)
		}
		if err != nil {
			if out != nil {
				t.Errorf("%s: %d bytes beside the error %v", c.Name(), len(out), err)
			}
			return
		}
		packed, err := c.AppendCompressed(nil, out)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := c.Decompress(packed, len(out)); err != nil || !bytes.Equal(back, out) {
			t.Errorf("%s: does not come back: %v", c.Name(), err)
		}
	})
}
