package gateway

import (
	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/codec/jsoncodec"
	"github.com/rpcx-go/rpcx/runtime/internal/fallback"
)

// jsonCodec returns the codec of messages in JSON.
func jsonCodec(cfg *fallback.Config) codec.Codec {
	if cfg.JSON != nil {
		return cfg.JSON
	}
	return jsoncodec.Codec
}
