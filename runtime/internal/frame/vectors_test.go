package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rpcx-go/rpcx/runtime/internal/frame/vectors"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

const vectorDir = "../../../testdata/wire"

func loadVectors(tb testing.TB) []vectors.Vector {
	tb.Helper()
	all, err := vectors.Load(vectorDir)
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

// TestVectors decodes every vector, compares what it reads with the readable
// form, and encodes it again to the same bytes. What is wrong by its own bytes
// must be refused with the code that the vector names.
func TestVectors(t *testing.T) {
	for _, v := range loadVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			var decoded []string
			seen := map[vectors.Dir]bool{}
			for i, u := range v.Units {
				preface := v.Start == vectors.Preface && !seen[u.Dir]
				seen[u.Dir] = true
				line, again, err := decodeUnit(u.Bytes, preface)
				if err != nil && i == len(v.Units)-1 && v.By == "frame" {
					if got := expectation(err); got != v.Expect {
						t.Errorf("got %q (%v), want %q", got, err, v.Expect)
					}
					checkReason(t, err)
					continue
				}
				if err != nil {
					t.Fatalf("unit %d: %v", i, err)
				}
				if i == len(v.Units)-1 && v.By == "frame" {
					t.Fatalf("accepted as %q, want %s", line, v.Expect)
				}
				decoded = append(decoded, string(u.Dir)+" "+line)
				if !bytes.Equal(again, u.Bytes) {
					t.Errorf("unit %d: encoded again:\n% x\nwant:\n% x", i, again, u.Bytes)
				}
			}
			if diff := cmp.Diff(v.Decoded, decoded); diff != "" {
				t.Errorf("decoded form (-vector +got):\n%s", diff)
			}
		})
	}
}

var errNotNative = errors.New("not native")

// expectation is err as a vector's expect line says it.
func expectation(err error) string {
	if errors.Is(err, errNotNative) {
		return "not-native"
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return "connection " + e.Code.String()
	}
	if e, ok := errors.AsType[*CallError](err); ok {
		return "call " + e.Code.String()
	}
	return err.Error()
}

func checkReason(t *testing.T, err error) {
	t.Helper()
	if e, ok := errors.AsType[*Error](err); ok && len(e.Reason) < 10 {
		t.Errorf("reason %q says too little", e.Reason)
	}
}

// decodeUnit returns the readable form of a preface or frame and its bytes,
// encoded again from the decoded values.
func decodeUnit(b []byte, preface bool) (line string, again []byte, err error) {
	if preface {
		switch Sniff(b) {
		case Native:
			return "preface version=1", []byte(Preface), nil
		case NativeOtherVersion:
			version := b[PrefaceSize-1]
			return fmt.Sprintf("preface version=%d", version), append([]byte(Preface[:PrefaceSize-1]), version), nil
		default:
			return "", nil, errNotNative
		}
	}
	h, err := ParseHeader(b)
	if err != nil {
		return "", nil, err
	}
	if err := h.Validate(64 << 10); err != nil {
		return "", nil, err
	}
	if err := h.againstBits(b); err != nil {
		return "", nil, err
	}
	rest := b[HeaderSize:]
	sum := ""
	if h.Flags.Has(FlagChecksum) {
		if err := VerifyChecksum(b[:HeaderSize], rest); err != nil {
			return "", nil, err
		}
		rest = rest[:len(rest)-ChecksumSize]
		sum = " checksum=ok"
	}
	if len(rest) != int(h.Length) {
		return "", nil, fmt.Errorf("unit has %d bytes of payload, header says %d", len(rest), h.Length)
	}
	line, again, err = decodeFrame(&h, rest, b)
	if err != nil {
		return "", nil, err
	}
	if sum != "" && len(again) == HeaderSize+len(rest) {
		again = AppendChecksum(again, 0)
	}
	return line + sum, again, nil
}

// againstBits reads the header by the byte offsets of the specification.
func (h *Header) againstBits(b []byte) error {
	want := Header{
		Length: uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16,
		Type:   Type(b[3]), Flags: Flags(b[4]) | Flags(b[5])<<8,
		Codec: b[6] & 15, Compression: b[6] >> 4, Class: Class(b[7]),
		ID:   StreamID(binary.LittleEndian.Uint64(b[8:])),
		Arg:  binary.LittleEndian.Uint32(b[16:]),
		Code: uint16(b[20]) | uint16(b[21])<<8,
	}
	if *h != want {
		return fmt.Errorf("header %v, by its offsets %v", h, &want)
	}
	return nil
}

func decodeFrame(h *Header, payload, whole []byte) (string, []byte, error) {
	switch h.Type {
	case TypeSettings:
		s, err := ParseSettings(payload)
		if err != nil {
			return "", nil, err
		}
		if len(payload) > 0 && settingsHaveUnknown(payload) {
			return "SETTINGS " + s.String(), whole, nil
		}
		return "SETTINGS " + s.String(), AppendSettings(nil, s), nil
	case TypePing:
		opaque := ParsePing(payload)
		flags := strings.Replace(h.Flags.String(), "HALF_CLOSE", "ACK", 1)
		line := fmt.Sprintf("PING flags=%s opaque=0x%016x", flags, opaque)
		if h.Flags.Has(FlagAck) {
			return line, AppendPingAck(nil, opaque), nil
		}
		return line, AppendPing(nil, opaque), nil
	case TypeGoAway:
		g := ParseGoAway(h, payload)
		last := strconv.FormatUint(uint64(g.LastAccepted), 10)
		if g.LastAccepted == Undecided {
			last = "undecided"
		}
		return fmt.Sprintf("GOAWAY last=%s code=%v text=%q", last, g.Code, g.Text),
			AppendGoAway(nil, g.LastAccepted, g.Code, g.Text), nil
	case TypeCredit:
		return fmt.Sprintf("CREDIT id=%d bytes=%d", h.ID, h.Arg), AppendCredit(nil, h.ID, h.Arg), nil
	case TypeCancel:
		code := status.Code(h.Code)
		return fmt.Sprintf("CANCEL id=%d status=%v", h.ID, code), AppendCancel(nil, h.ID, code), nil
	case TypeOpen, TypeData, TypeClose:
		return decodeStreamFrame(h, payload)
	default:
		return fmt.Sprintf("type 0x%02x ignored length=%d", uint8(h.Type), h.Length), whole, nil
	}
}

func settingsHaveUnknown(payload []byte) bool {
	for ; len(payload) > 0; payload = payload[settingSize:] {
		if id := binary.LittleEndian.Uint16(payload); id == 0 || int(id) > len(settings) {
			return true
		}
	}
	return false
}

func decodeStreamFrame(h *Header, payload []byte) (string, []byte, error) {
	var s Sections
	if err := ParseSections(h, payload, &s); err != nil {
		return "", nil, err
	}
	words := []string{h.Type.String(), fmt.Sprintf("id=%d flags=%v", h.ID, h.Flags)}
	word := func(when bool, format string, args ...any) {
		if when {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	word(h.Codec != 0, "codec=%d", h.Codec)
	word(h.Compression != 0, "compression=%d", h.Compression)
	again := *h
	switch h.Type {
	case TypeOpen:
		word(h.Class != 0, "priority=%d lane=%d attempt=%d", h.Class.Priority(), h.Class.Lane(), h.Class.Attempt())
		again.Class = MakeClass(h.Class.Priority(), h.Class.Lane(), h.Class.Attempt())
		if d, ok := ArgDeadline(h.Arg); ok {
			word(true, "deadline=%v", d)
			again.Arg = DeadlineArg(d)
		}
		word(true, "method=%d", h.Code)
	case TypeClose:
		word(true, "status=%v", status.Code(h.Code))
		if wait, never := ArgPushBack(h.Arg); never {
			word(true, "pushback=never")
			again.Arg = NeverRetry
		} else if wait > 0 {
			word(true, "pushback=%v", wait)
			again.Arg = PushBackArg(wait)
		}
	}
	text, body, err := decodeSections(h, &s)
	if err != nil {
		return "", nil, err
	}
	words = append(words, text...)
	again.Length = uint32(len(body))
	return strings.Join(words, " "), append(again.Append(nil), body...), nil
}

// decodeSections returns the readable form of the sections and their bytes.
func decodeSections(h *Header, s *Sections) (words []string, body []byte, err error) {
	if h.Flags.Has(FlagRoute) {
		words = append(words, fmt.Sprintf("route=0x%016x", s.Route))
		body = AppendRoute(body, s.Route)
	}
	if h.Flags.Has(FlagName) {
		words = append(words, fmt.Sprintf("name=%q", s.Name))
		body = AppendName(body, string(s.Name))
	}
	for _, m := range []struct {
		flag  Flags
		name  string
		block []byte
	}{{FlagHeaders, "headers", s.Headers}, {FlagTrailers, "trailers", s.Trailers}} {
		if !h.Flags.Has(m.flag) {
			continue
		}
		text, again, err := decodeMetadata(m.block)
		if err != nil {
			return nil, nil, err
		}
		words = append(words, m.name+"="+text)
		body = append(body, again...)
	}
	if h.Flags.Has(FlagDetail) {
		msg, details, err := ParseDetail(s.Detail)
		if err != nil {
			return nil, nil, err
		}
		words = append(words, fmt.Sprintf("text=%q", msg))
		for _, d := range details {
			words = append(words, "detail="+d.Type+":"+hexText(d.Value))
		}
		body, _ = AppendDetail(body, status.New(status.Unknown, msg).WithRawDetails(details...))
	}
	if h.Flags.Has(FlagTotal) {
		words = append(words, fmt.Sprintf("total=%d", s.Total))
		body = AppendTotal(body, s.Total)
	}
	if h.Flags.Has(FlagMessage) {
		words = append(words, "message="+hexText(s.Message))
		body = append(body, s.Message...)
	}
	return words, body, nil
}

func decodeMetadata(block []byte) (text string, again []byte, err error) {
	if err := CheckMetadata(block, 8<<10); err != nil {
		return "", nil, err
	}
	md, err := ParseMetadata(block)
	if err != nil {
		return "", nil, err
	}
	var pairs []string
	for _, p := range md {
		if strings.HasSuffix(p.Key, metadata.BinarySuffix) {
			pairs = append(pairs, fmt.Sprintf("%s=0x%x", p.Key, p.Value))
		} else {
			pairs = append(pairs, fmt.Sprintf("%s=%q", p.Key, p.Value))
		}
	}
	again = AppendMetadata(nil, md)
	if bytes.Contains(block, []byte(metadata.ReservedPrefix)) {
		again = append(appendUvarint(nil, len(block)), block...) // what is dropped cannot come again
	}
	return "[" + strings.Join(pairs, " ") + "]", again, nil
}

// hexText is b in hex, runs of more than 32 equal bytes as "7a*100".
func hexText(b []byte) string {
	var parts []string
	plain := 0
	for i := 0; i < len(b); {
		j := i
		for j < len(b) && b[j] == b[i] {
			j++
		}
		if j-i > 32 {
			if plain < i {
				parts = append(parts, fmt.Sprintf("%x", b[plain:i]))
			}
			parts = append(parts, fmt.Sprintf("%02x*%d", b[i], j-i))
			plain = j
		}
		i = j
	}
	if plain < len(b) {
		parts = append(parts, fmt.Sprintf("%x", b[plain:]))
	}
	return strings.Join(parts, "+")
}
