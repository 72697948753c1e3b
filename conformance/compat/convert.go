package compat

import (
	"encoding/base64"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	conformancev1 "github.com/rpcx-go/rpcx/conformance/gen"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// Metadata returns headers as metadata, in their order. The suite writes binary
// values as HTTP does, in base64.
func Metadata(headers []*conformancev1.Header) (metadata.MD, error) {
	var md metadata.MD
	for _, h := range headers {
		binary := isBinary(strings.ToLower(h.GetName()))
		for _, v := range h.GetValue() {
			if binary {
				b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(v, "="))
				if err != nil {
					return nil, fmt.Errorf("header %q: %w", h.GetName(), err)
				}
				v = string(b)
			}
			md.Add(h.GetName(), v)
		}
	}
	return md, nil
}

// Headers returns metadata as headers, one per key.
func Headers(md metadata.MD) []*conformancev1.Header {
	var headers []*conformancev1.Header
	byKey := map[string]*conformancev1.Header{}
	for _, p := range md {
		h := byKey[p.Key]
		if h == nil {
			h = &conformancev1.Header{Name: p.Key}
			byKey[p.Key] = h
			headers = append(headers, h)
		}
		v := p.Value
		if isBinary(p.Key) {
			v = base64.RawStdEncoding.EncodeToString([]byte(v))
		}
		h.Value = append(h.Value, v)
	}
	return headers
}

func isBinary(key string) bool { return strings.HasSuffix(key, metadata.BinarySuffix) }

// Status returns the error that a handler is asked to return, with further
// messages as its last details.
func Status(e *conformancev1.Error, more ...proto.Message) error {
	err := status.New(status.Code(e.GetCode()), e.GetMessage())
	for _, d := range e.GetDetails() {
		err = err.WithRawDetails(status.Detail{Type: d.GetTypeUrl(), Value: d.GetValue()})
	}
	err, failure := err.WithDetails(more...)
	if failure != nil {
		return failure
	}
	return err
}

// Error returns the error of a call as the runner is told of it; nil for nil.
func Error(err error) *conformancev1.Error {
	if err == nil {
		return nil
	}
	e := status.FromError(err)
	out := &conformancev1.Error{Code: conformancev1.Code(e.Code()), Message: proto.String(e.Message())}
	for _, d := range e.Details() {
		out.Details = append(out.Details, &anypb.Any{TypeUrl: d.Type, Value: d.Value})
	}
	return out
}
