package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/internal/fallback"
)

func jsonCodec(cfg *fallback.Config) codec.Codec { return interimJSON{cfg.StrictJSON} }

type interimJSON struct{ strict bool }

func (interimJSON) ID() codec.ID { return codec.JSONID }
func (interimJSON) Name() string { return "json" }
func (c interimJSON) Size(msg any) (int, error) {
	b, err := c.AppendMarshal(nil, msg, 0)
	return len(b), err
}
func (interimJSON) AppendMarshal(dst []byte, msg any, _ int) ([]byte, error) {
	m, ok := msg.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is not a protobuf message", msg)
	}
	b, err := protojson.Marshal(m)
	if err != nil {
		return nil, err
	}
	out := bytes.NewBuffer(dst)
	err = json.Compact(out, b)
	return out.Bytes(), err
}
func (c interimJSON) Unmarshal(data []byte, msg any) error {
	return protojson.UnmarshalOptions{DiscardUnknown: !c.strict}.Unmarshal(data, msg.(proto.Message))
}
func (c interimJSON) UnmarshalOwned(data []byte, msg any) error { return c.Unmarshal(data, msg) }
