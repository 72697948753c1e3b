package frame

import (
	"fmt"
	"testing"

	"github.com/rpcx-go/rpcx/runtime/metadata"
)

// TestBeginning: the beginning of a payload says where the message begins once it
// has all sections, and taken apart has what the whole has, but for the end.
func TestBeginning(t *testing.T) {
	md := metadata.Pairs("key", "value", "long", string(make([]byte, 300)))
	for _, flags := range []Flags{
		FlagTotal, FlagHeaders | FlagTotal, FlagRoute | FlagName | FlagTotal,
		FlagRoute | FlagName | FlagHeaders | FlagTotal, FlagRoute, 0,
	} {
		t.Run(fmt.Sprintf("%#x", uint16(flags)), func(t *testing.T) {
			h := Header{Type: TypeOpen, Flags: flags | FlagMessage | FlagMore, ID: 1}
			var payload []byte
			if flags.Has(FlagRoute) {
				payload = AppendRoute(payload, 7)
			}
			if flags.Has(FlagName) {
				payload = AppendName(payload, "a.B/C")
			}
			if flags.Has(FlagHeaders) {
				payload = AppendMetadata(payload, md)
			}
			if flags.Has(FlagTotal) {
				payload = AppendTotal(payload, 1000)
			}
			before := len(payload)
			payload = append(payload, "a fragment"...)
			h.Length = uint32(len(payload))
			for n := range len(payload) + 1 {
				got, ok := BeforeMessage(&h, payload[:n])
				if ok && got != before || !ok && n >= before {
					t.Fatalf("%d bytes: %d, %v, want %d", n, got, ok, before)
				}
				if n <= before {
					continue
				}
				var s Sections
				if err := ParseSections(&h, payload[:n], &s); err != nil {
					t.Fatal(err)
				}
				if string(s.Message) != string(payload[before:n]) || s.Missing != len(payload)-n || s.MessageSize() != len(payload)-before {
					t.Errorf("%d bytes: message %q, %d missing", n, s.Message, s.Missing)
				}
			}
		})
	}
}
