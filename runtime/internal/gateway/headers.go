package gateway

import (
	"errors"
	"fmt"

	"connectrpc.com/connect/v2"

	"github.com/rpcx-go/rpcx/runtime/internal/httpform"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// requestMetadata returns the metadata in the headers of a request, or why they
// are refused, as the native protocol would refuse them.
func requestMetadata(h *connect.Header, limit int) (metadata.MD, *status.Error) {
	md, err := httpform.FromHeaders(h.All())
	if err == nil {
		err = metadata.Validate(md, limit)
	}
	switch {
	case errors.Is(err, metadata.ErrTooLarge):
		what := fmt.Sprintf("metadata of %d bytes, the limit is %d (option WithMaxMetadataSize)", md.Size(), limit)
		if len(md) > metadata.MaxEntries {
			what = fmt.Sprintf("%d metadata entries, the limit is %d (fixed)", len(md), metadata.MaxEntries)
		}
		return nil, status.New(status.ResourceExhausted, what).WithDoNotRetry()
	case err != nil:
		return nil, status.New(status.InvalidArgument, err.Error())
	}
	return md, nil
}

// addMetadata adds md to headers of an answer.
func addMetadata(h *connect.Header, md metadata.MD) error {
	if err := httpform.AddMetadata(h, md); err != nil {
		return status.Errorf(status.Internal, "response: %w", err)
	}
	return nil
}
