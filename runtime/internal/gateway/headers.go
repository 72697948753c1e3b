package gateway

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"connectrpc.com/connect/v2"

	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
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

// requestMetadata returns the metadata in the headers of a request, or why they
// are refused, as the native protocol would refuse them.
func requestMetadata(h *connect.Header, limit int) (metadata.MD, *status.Error) {
	md, err := fromHeaders(h)
	if err == nil {
		err = metadata.Validate(md, limit)
	}
	switch {
	case errors.Is(err, metadata.ErrTooLarge):
		return nil, status.New(status.ResourceExhausted, err.Error()+" (option WithMaxMetadataSize)").WithDoNotRetry()
	case err != nil:
		return nil, status.New(status.InvalidArgument, err.Error())
	}
	return md, nil
}

// fromHeaders returns the metadata in headers, in order of their keys. The
// runtime's own are left out.
func fromHeaders(h *connect.Header) (metadata.MD, error) {
	all := map[string][]string{}
	size := 0
	for key, values := range h.All() {
		key = strings.ToLower(key)
		if protocolHeaders[key] || strings.HasPrefix(key, metadata.ReservedPrefix) {
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

// addMetadata adds md to headers, without what belongs to the protocols. It fails
// if a value cannot travel over HTTP.
func addMetadata(h *connect.Header, md metadata.MD) error {
	for _, p := range md {
		switch {
		case protocolHeaders[p.Key]:
		case strings.HasSuffix(p.Key, metadata.BinarySuffix):
			h.Add(p.Key, connect.EncodeBinaryHeader([]byte(p.Value)))
		case !fieldValue(p.Value):
			return status.Errorf(status.Internal, "response metadata: key %q: HTTP carries no control characters and no space at the ends; a key ending in %q takes any bytes", p.Key, metadata.BinarySuffix)
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
