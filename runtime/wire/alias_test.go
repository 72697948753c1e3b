package wire

import (
	"bytes"
	"testing"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
)

// TestAliases: what refers to more than 16 KiB of input is at least half of it,
// so that nothing kept keeps more than twice its size, or 16 KiB, alive.
func TestAliases(t *testing.T) {
	for _, size := range []int{1, 100, maxPiece, maxPiece + 1, 100_000, 4 << 20} {
		for _, part := range []int{1, size / 3, size/2 - 1, size/2 + 1, size - 10} {
			if part < 1 || part > size {
				continue
			}
			b := protowire.AppendBytes(nil, bytes.Repeat([]byte{'a'}, part))
			if pad := size - len(b); pad > 0 {
				b = append(b, make([]byte, pad)...)
			}
			for _, alias := range []int{aliasing(len(b)), aliasNone} {
				p := newParser(alias, MaxNesting)
				text, _ := p.Text(b, 0)
				raw, _ := p.Bytes(b, 0)
				str, _ := p.String(b, 0)
				for what, at := range map[string]*byte{"text": unsafe.StringData(text), "bytes": unsafe.SliceData(raw), "string": unsafe.StringData(str)} {
					refers := within(b, at)
					if refers && (alias == aliasNone || len(b) > maxPiece && len(b) > 2*part) {
						t.Errorf("%s of %d bytes keeps %d bytes alive", what, part, len(b))
					}
					if !refers && alias != aliasNone && (len(b) <= maxPiece || part >= 1<<aliasing(len(b))) {
						t.Errorf("%s of %d bytes is a copy out of %d bytes", what, part, len(b))
					}
				}
				if cap(raw) != len(raw) {
					t.Errorf("bytes may be appended to %d bytes of others", cap(raw)-len(raw))
				}
			}
		}
	}
}

func within(b []byte, p *byte) bool {
	at, start := uintptr(unsafe.Pointer(p)), uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	return at >= start && at < start+uintptr(len(b))
}

// TestSlabs: messages that are allocated together are at most 16 KiB.
func TestSlabs(t *testing.T) {
	type message struct{ content [100]byte }
	const n = 1000
	var b []byte
	for range n {
		b = append(protowire.AppendTag(b, 1, protowire.BytesType), 0)
	}
	list, i := ParseMessages(nil, b, 1, newParser(aliasNone, MaxNesting), 0x0a, func(*message, []byte, Parser) int { return 0 })
	if i != len(b) || len(list) != n {
		t.Fatalf("%d messages up to %d", len(list), i)
	}
	run, longest := 1, 1
	for k := 1; k < n; k++ {
		if uintptr(unsafe.Pointer(list[k]))-uintptr(unsafe.Pointer(list[k-1])) != unsafe.Sizeof(message{}) {
			run = 0
		}
		run++
		longest = max(longest, run)
	}
	// Two slabs may lie beside each other by chance, but not all.
	if longest < 2 || longest > 10*maxPiece/int(unsafe.Sizeof(message{})) && longest == n {
		t.Errorf("%d messages are allocated together", longest)
	}
}
