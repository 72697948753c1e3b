package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// eachFrame calls seed with the header and payload of every frame of the
// vectors whose header can be read.
func eachFrame(f *testing.F, seed func(h *Header, payload []byte)) {
	f.Helper()
	for _, v := range loadVectors(f) {
		for _, u := range v.Units {
			if len(u.Bytes) < HeaderSize {
				continue
			}
			if h, err := ParseHeader(u.Bytes); err == nil {
				seed(&h, u.Bytes[HeaderSize:])
			}
		}
	}
}

// wantError fails unless err is one of this package's errors with a reason.
func wantError(t *testing.T, err error) {
	t.Helper()
	conn, isConn := errors.AsType[*Error](err)
	call, isCall := errors.AsType[*CallError](err)
	switch {
	case isConn && (conn.Code == NoError || conn.Reason == ""), isCall && (call.Code == status.OK || call.Reason == ""):
		t.Errorf("error %#v says too little", err)
	case !isConn && !isCall:
		t.Errorf("error %T is foreign", err)
	}
}

func FuzzHeader(f *testing.F) {
	eachFrame(f, func(h *Header, _ []byte) { f.Add(h.Append(nil), uint32(64<<10)) })
	f.Add(make([]byte, HeaderSize), uint32(0))
	f.Fuzz(func(t *testing.T, b []byte, limit uint32) {
		if len(b) < HeaderSize {
			b = append(b, make([]byte, HeaderSize-len(b))...)
		}
		b = b[:HeaderSize]
		h, err := ParseHeader(b)
		if err != nil {
			wantError(t, err)
			// Mend version and check, so that the rest is tried too.
			b[22], b[23] = Version, 0
			for _, c := range b[:23] {
				b[23] ^= c
			}
			if h, err = ParseHeader(b); err != nil {
				t.Fatalf("mended header: %v", err)
			}
		}
		if err := h.againstBits(b); err != nil {
			t.Error(err)
		}
		if again := h.Append(nil); !bytes.Equal(again, b) {
			t.Errorf("% x encodes again as % x", b, again)
		}
		if err := h.Validate(limit); err != nil {
			wantError(t, err)
		} else if h.Length > limit || !h.Type.Known() && !h.Type.Ignorable() {
			t.Errorf("accepted %v with limit %d", &h, limit)
		}
	})
}

func FuzzSections(f *testing.F) {
	eachFrame(f, func(h *Header, payload []byte) { f.Add(uint8(h.Type), uint16(h.Flags), payload) })
	f.Fuzz(func(t *testing.T, typ uint8, flags uint16, payload []byte) {
		h := Header{Type: Type(typ), Flags: Flags(flags), ID: 1, Code: 1, Length: uint32(len(payload))}
		if h.Type == TypeClose && h.Flags.Has(FlagMessage) {
			h.Code = 0
		}
		if len(payload) > MaxPayload || h.Validate(MaxPayload) != nil {
			return
		}
		if h.Type != TypeOpen && h.Type != TypeData && h.Type != TypeClose {
			return
		}
		var s Sections
		if err := ParseSections(&h, payload, &s); err != nil {
			wantError(t, err)
			return
		}
		if again := appendSections(nil, &h, &s); !bytes.Equal(again, payload) {
			t.Errorf("%v: % x encodes again as % x", &h, payload, again)
		}
		if len(s.Name) > MaxName || len(s.Detail) > MaxDetail || h.Flags.Has(FlagTotal) && int(s.Total) < len(s.Message) {
			t.Errorf("accepted name of %d bytes, detail of %d, total of %d with %d", len(s.Name), len(s.Detail), s.Total, len(s.Message))
		}
	})
}

// appendSections encodes s as it was parsed, blocks unread.
func appendSections(b []byte, h *Header, s *Sections) []byte {
	if h.Flags.Has(FlagRoute) {
		b = AppendRoute(b, s.Route)
	}
	if h.Flags.Has(FlagName) {
		b = AppendName(b, string(s.Name))
	}
	for _, block := range []struct {
		flag  Flags
		bytes []byte
	}{{FlagHeaders, s.Headers}, {FlagTrailers, s.Trailers}, {FlagDetail, s.Detail}} {
		if h.Flags.Has(block.flag) {
			b = append(appendUvarint(b, len(block.bytes)), block.bytes...)
		}
	}
	if h.Flags.Has(FlagTotal) {
		b = AppendTotal(b, s.Total)
	}
	return append(b, s.Message...)
}

func FuzzMetadata(f *testing.F) {
	eachFrame(f, func(h *Header, payload []byte) {
		var s Sections
		if h.Type >= TypeOpen && h.Validate(MaxPayload) == nil && ParseSections(h, payload, &s) == nil {
			f.Add(slices.Clone(s.Headers), 8<<10)
			f.Add(slices.Clone(s.Trailers), 100)
		}
	})
	f.Fuzz(func(t *testing.T, block []byte, limit int) {
		checked := CheckMetadata(block, limit)
		md, parsed := ParseMetadata(block)
		if parsed != nil {
			wantError(t, parsed)
			if checked == nil {
				t.Errorf("ParseMetadata refuses what CheckMetadata passes: %v", parsed)
			}
			return
		}
		if checked != nil {
			wantError(t, checked)
			if e, ok := errors.AsType[*Error](checked); ok {
				t.Errorf("ParseMetadata accepts what is malformed: %v", e)
			}
			return
		}
		if err := metadata.Validate(md, limit); err != nil {
			t.Errorf("accepted what may not be sent: %v", err)
		}
		if !bytes.Contains(block, []byte(metadata.ReservedPrefix)) && !bytes.Equal(metadataBlock(t, md), block) {
			t.Errorf("% x encodes again as % x", block, metadataBlock(t, md))
		}
	})
}

func FuzzSettings(f *testing.F) {
	eachFrame(f, func(h *Header, payload []byte) {
		if h.Type == TypeSettings {
			f.Add(payload)
		}
	})
	f.Fuzz(func(t *testing.T, payload []byte) {
		s, err := ParseSettings(payload)
		if err != nil {
			wantError(t, err)
			return
		}
		if err := s.Validate(); err != nil {
			t.Errorf("accepted %v: %v", &s, err)
		}
		again := AppendSettings(nil, s)[HeaderSize:]
		if got, err := ParseSettings(again); err != nil || got != s {
			t.Errorf("%v encodes again as %v, %v", &s, &got, err)
		}
		for at := 0; at < len(payload); at += settingSize {
			if id := int(binary.LittleEndian.Uint16(payload[at:])); id >= 1 && id <= len(settings) {
				want := binary.LittleEndian.Uint32(payload[at+4:])
				if got := *s.value(id - 1); got != want {
					t.Errorf("%s is %d, sent %d", settings[id-1].name, got, want)
				}
			}
		}
	})
}

func FuzzDetail(f *testing.F) {
	eachFrame(f, func(h *Header, payload []byte) {
		var s Sections
		if h.Type == TypeClose && h.Validate(MaxPayload) == nil && ParseSections(h, payload, &s) == nil {
			f.Add(slices.Clone(s.Detail))
		}
	})
	f.Fuzz(func(t *testing.T, block []byte) {
		if len(block) > MaxDetail {
			return
		}
		msg, details, err := ParseDetail(block)
		if err != nil {
			wantError(t, err)
			return
		}
		if len(details) > MaxDetails || !utf8.ValidString(msg) {
			t.Errorf("accepted %d details and message %.40q", len(details), msg)
		}
		again, omitted := detailBlock(t, status.New(status.Internal, msg).WithRawDetails(details...))
		if len(msg) <= MaxStatusMessage && len(again) == len(block) && !bytes.Equal(again, block) && utf8.Valid(block) {
			t.Errorf("% x encodes again as % x", block, again)
		}
		msg2, details2, err := ParseDetail(again)
		if err != nil {
			t.Fatal(err)
		}
		if len(msg) <= MaxStatusMessage && msg2 != msg {
			t.Errorf("message %q became %q", msg, msg2)
		}
		if omitted == 0 && !cmp.Equal(details, details2) {
			t.Errorf("details %v became %v", details, details2)
		}
	})
}
