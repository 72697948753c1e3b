package httpform

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"connectrpc.com/connect/v2"

	"github.com/rpcx-go/rpcx/runtime/metadata"
)

// protocolHeaders are the headers, in lower case, that are the protocols' own and
// no metadata.
var protocolHeaders = func() map[string]bool {
	m := map[string]bool{}
	for _, key := range strings.Fields(`
		accept accept-encoding connection content-encoding content-length content-type date expect
		host keep-alive proxy-connection te trailer transfer-encoding upgrade
		connect-accept-encoding connect-content-encoding connect-protocol-version connect-timeout-ms
		grpc-accept-encoding grpc-encoding grpc-message grpc-status grpc-status-details-bin grpc-timeout
		grpc-retry-pushback-ms grpc-previous-rpc-attempts x-grpc-web`) {
		m[key] = true
	}
	return m
}()

// trailerPrefix stands before the names of headers that Connect means as trailers.
const trailerPrefix = "trailer-"

// FromHeaders returns the metadata in headers, in order of their keys. The
// runtime's own are left out. It fails if a binary value is not in base64.
func FromHeaders(headers iter.Seq2[string, []string]) (metadata.MD, error) {
	all := map[string][]string{}
	size := 0
	for key, values := range headers {
		key = strings.ToLower(key)
		if protocolHeaders[key] || strings.HasPrefix(key, metadata.ReservedPrefix) || strings.HasPrefix(key, trailerPrefix) {
			continue
		}
		all[key] = values
		size += len(values)
	}
	md := make(metadata.MD, 0, size)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		for _, v := range all[key] {
			if !strings.HasSuffix(key, metadata.BinarySuffix) {
				md.Add(key, v)
				continue
			}
			for part := range strings.SplitSeq(v, ",") {
				b, err := connect.DecodeBinaryHeader(strings.TrimSpace(part))
				if err != nil {
					return nil, fmt.Errorf("%w: key %q: its value is not in base64", metadata.ErrInvalid, key)
				}
				md.Add(key, string(b))
			}
		}
	}
	return md, nil
}

// AddMetadata adds md to headers, without what belongs to the protocols. It fails
// with an error that wraps metadata.ErrInvalid if a value cannot travel over HTTP.
func AddMetadata(h *connect.Header, md metadata.MD) error {
	for _, p := range md {
		switch {
		case protocolHeaders[p.Key], strings.HasPrefix(p.Key, trailerPrefix):
		case strings.HasSuffix(p.Key, metadata.BinarySuffix):
			h.Add(p.Key, connect.EncodeBinaryHeader([]byte(p.Value)))
		case !fieldValue(p.Value):
			return fmt.Errorf("%w: key %q: HTTP carries no control characters and no space at the ends; a key ending in %q takes any bytes", metadata.ErrInvalid, p.Key, metadata.BinarySuffix)
		default:
			h.Add(p.Key, p.Value)
		}
	}
	return nil
}

// fieldValue reports whether v arrives over HTTP as it is.
func fieldValue(v string) bool {
	for i := range len(v) {
		if c := v[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return strings.Trim(v, " \t") == v
}
