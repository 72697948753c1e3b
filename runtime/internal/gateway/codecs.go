package gateway

import (
	"connectrpc.com/connect/v2"

	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/internal/fallback"
	"github.com/rpcx-go/rpcx/runtime/internal/httpform"
)

// codecs are how messages travel over HTTP.
type codecs struct {
	binary, json httpform.Codec
	compressors  []connect.Compressor
	compressFrom int
}

// defaultCompressFrom is the size from which answers are compressed if the
// server's user has not said anything: less is not worth it.
const defaultCompressFrom = 1 << 10

func newCodecs(cfg *fallback.Config) codecs {
	c := codecs{
		binary:       httpform.Codec{Codec: codec.Proto},
		json:         httpform.Codec{Codec: jsonCodec(cfg)},
		compressors:  httpform.Compressors(cfg.Compressions),
		compressFrom: cfg.CompressFrom,
	}
	if c.compressFrom == 0 {
		c.compressFrom = defaultCompressFrom
	}
	return c
}

func (c *codecs) all() []connect.Codec { return []connect.Codec{c.binary, c.json} }

// of returns the codec of the given name.
func (c *codecs) of(name string) codec.Codec {
	if name == c.json.Name() {
		return c.json.Codec
	}
	return c.binary.Codec
}
