package difftest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rpcx-go/rpcx/runtime/codec"
)

// Broken returns a codec that does what codec.Proto does, but for one mistake.
// It shows that a check finds the mistake.
func Broken(mistake string) (codec.Codec, error) {
	b, ok := mistakes[mistake]
	if !ok {
		return nil, fmt.Errorf("%q is not one of the mistakes %s", mistake, strings.Join(Mistakes(), ", "))
	}
	b.Codec = codec.Proto
	return b, nil
}

// Mistakes returns the names of the mistakes that Broken knows.
func Mistakes() []string { return slices.Sorted(maps.Keys(mistakes)) }

// broken is a codec whose steps are changed by those functions that it has.
type broken struct {
	codec.Codec
	size      func(n int) int
	marshal   func(out []byte, start int) []byte
	unmarshal func(data []byte, m protoreflect.Message, err error) error
}

var mistakes = map[string]broken{
	"size": {size: func(n int) int { return n + 1 }},
	"flip": {marshal: func(out []byte, start int) []byte {
		if len(out) > start {
			out[len(out)-1] ^= 1
		}
		return out
	}},
	"short": {marshal: func(out []byte, start int) []byte { return out[:max(start, len(out)-1)] }},
	"accept": {unmarshal: func([]byte, protoreflect.Message, error) error {
		return nil
	}},
	"refuse": {unmarshal: func(data []byte, _ protoreflect.Message, err error) error {
		if len(data) > 100 {
			return fmt.Errorf("%d bytes are too many", len(data))
		}
		return err
	}},
	"forget-unknown": {unmarshal: func(_ []byte, m protoreflect.Message, err error) error {
		m.SetUnknown(nil)
		return err
	}},
	"alias": {unmarshal: func(data []byte, m protoreflect.Message, err error) error {
		if i := bytes.Index(data, m.GetUnknown()); i >= 0 {
			m.SetUnknown(data[i:][:len(m.GetUnknown())])
		}
		return err
	}},
	"panic": {unmarshal: func(data []byte, _ protoreflect.Message, err error) error {
		return fmt.Errorf("%w: %d", err, data[len(data)])
	}},
	"overwrite": {unmarshal: func(data []byte, _ protoreflect.Message, err error) error {
		clear(data)
		return err
	}},
}

func (b broken) Size(msg any) (int, error) {
	n, err := b.Codec.Size(msg)
	if b.size != nil {
		n = b.size(n)
	}
	return n, err
}

func (b broken) AppendMarshal(dst []byte, msg any, size int) ([]byte, error) {
	out, err := b.Codec.AppendMarshal(dst, msg, size)
	if err == nil && b.marshal != nil {
		out = b.marshal(out, len(dst))
	}
	return out, err
}

func (b broken) Unmarshal(data []byte, msg any) error {
	err := b.Codec.Unmarshal(data, msg)
	if b.unmarshal != nil {
		err = b.unmarshal(data, msg.(proto.Message).ProtoReflect(), err)
	}
	return err
}
