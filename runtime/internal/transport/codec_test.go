package transport

import (
	"errors"
	"fmt"

	"github.com/rpcx-go/rpcx/runtime/codec"
)

// text is the message of the tests: its bytes are its string.
type text struct {
	s string
	// bad makes marshalling fail: one of the constants below.
	bad string
}

// The ways in which marshalling a text fails.
const (
	badPanic = "panic"
	badSize  = "size panics"
	badError = "error"
	badShort = "short"
	badLong  = "long"
)

func str(s string) *text { return &text{s: s} }

// textCodec is the codec of the tests. Bytes that begin with '!' cannot be
// unmarshalled.
type textCodec struct{}

func (textCodec) ID() codec.ID { return codec.ProtoID }
func (textCodec) Name() string { return "text" }

func (textCodec) Size(msg any) (int, error) {
	m := msg.(*text)
	if m.bad == badSize {
		panic("no size")
	}
	return len(m.s), nil
}

func (textCodec) AppendMarshal(dst []byte, msg any, _ int) ([]byte, error) {
	m := msg.(*text)
	dst = append(dst, m.s...)
	switch m.bad {
	case badPanic:
		panic("no bytes")
	case badError:
		return dst, errors.New("cannot be marshalled")
	case badShort:
		return dst[:len(dst)-1], nil
	case badLong:
		return append(dst, "!!!"...), nil
	}
	return dst, nil
}

func (c textCodec) UnmarshalOwned(data []byte, msg any) error { return c.Unmarshal(data, msg) }

func (textCodec) Unmarshal(data []byte, msg any) error {
	if len(data) > 0 && data[0] == '!' {
		return fmt.Errorf("%d bytes cannot be unmarshalled", len(data))
	}
	msg.(*text).s = string(data)
	return nil
}
