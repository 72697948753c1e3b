package frame

import (
	"testing"

	"github.com/rpcx-go/rpcx/runtime/metadata"
)

func BenchmarkHeaderPut(b *testing.B) {
	buf := make([]byte, HeaderSize)
	h := Header{Type: TypeOpen, Flags: FlagMessage | FlagHalfClose, Code: 1, Length: 128}
	for b.Loop() {
		h.ID += 2
		h.Put(buf)
	}
}

func BenchmarkHeaderParse(b *testing.B) {
	h := Header{Type: TypeOpen, Flags: FlagMessage | FlagHalfClose, ID: 1, Code: 1, Length: 128}
	buf := h.Append(nil)
	var sum uint32
	var got Header
	for b.Loop() {
		if err := got.Parse(buf); err != nil {
			b.Fatal(err)
		}
		sum += got.Length
	}
	_ = sum
}

func BenchmarkHeaderParseValidate(b *testing.B) {
	h := Header{Type: TypeOpen, Flags: FlagMessage | FlagHalfClose, ID: 1, Code: 1, Length: 128}
	buf := h.Append(nil)
	var got Header
	for b.Loop() {
		if err := got.Parse(buf); err != nil || got.Validate(64<<10) != nil {
			b.Fatal("refused")
		}
	}
}

func BenchmarkParseSections(b *testing.B) {
	md := AppendMetadata(nil, metadata.Pairs("tenant", "acme", "trace-id", "0123456789abcdef"))
	for _, c := range []struct {
		name    string
		flags   Flags
		payload []byte
	}{
		{"message", FlagMessage | FlagHalfClose, make([]byte, 128)},
		{"headers", FlagMessage | FlagHalfClose | FlagHeaders, append(md, make([]byte, 128)...)},
	} {
		b.Run(c.name, func(b *testing.B) {
			h := Header{Type: TypeOpen, Flags: c.flags, ID: 1, Code: 1, Length: uint32(len(c.payload))}
			var s Sections
			b.ReportAllocs()
			for b.Loop() {
				if err := ParseSections(&h, c.payload, &s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMetadata(b *testing.B) {
	md := metadata.Pairs("tenant", "acme", "trace-id", "0123456789abcdef0123456789abcdef")
	block := metadataBlock(b, md)
	b.Run("append", func(b *testing.B) {
		var buf []byte
		for b.Loop() {
			buf = AppendMetadata(buf[:0], md)
		}
	})
	b.Run("check", func(b *testing.B) {
		for b.Loop() {
			if err := CheckMetadata(block, 8<<10); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ParseMetadata(block); err != nil {
				b.Fatal(err)
			}
		}
	})
}
