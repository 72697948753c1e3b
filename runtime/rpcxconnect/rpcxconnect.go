// Package rpcxconnect joins this module with connectrpc.com/connect/v2, so that a
// program can move from one to the other a piece at a time: clients that
// protoc-gen-connect-go generated call over a Conn, and a connect.Server is served
// by a Server.
//
// It links no net/http.
package rpcxconnect

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/httpform"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// methodOf returns the method that spec describes. It fails if the types of its
// messages cannot be found.
func methodOf(spec connect.Spec) (*call.Method, error) {
	service, name, ok := strings.Cut(strings.TrimPrefix(spec.Procedure, "/"), "/")
	if !ok {
		return nil, fmt.Errorf("rpcxconnect: procedure %q is not of the form /service/method", spec.Procedure)
	}
	schema, ok := spec.Schema.(protoreflect.MethodDescriptor)
	if !ok {
		full := protoreflect.FullName(service).Append(protoreflect.Name(name))
		found, err := protoregistry.GlobalFiles.FindDescriptorByName(full)
		if schema, ok = found.(protoreflect.MethodDescriptor); err != nil || !ok {
			return nil, fmt.Errorf("rpcxconnect: the types of %s are not known: its Spec has no protobuf schema, and the program has none", spec.Procedure)
		}
	}
	return call.NewMethod(call.MethodSpec{
		Service:     service,
		Name:        name,
		Kind:        call.Kind(spec.StreamType),              // the same bits
		Idempotency: call.Idempotency(spec.IdempotencyLevel), // the proto's numbers
	}, maker(schema.Input()), maker(schema.Output())), nil
}

// maker returns what makes messages: of the generated type if there is one.
func maker(d protoreflect.MessageDescriptor) func() any {
	t, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		t = dynamicpb.NewMessageType(d)
	}
	return func() any { return t.New().Interface() }
}

// reset empties a message that is about to be filled.
func reset(msg any) {
	if m, ok := msg.(interface{ Reset() }); ok {
		m.Reset()
	}
}

// toMetadata returns what headers say, without what belongs to protocols.
func toMetadata(h *connect.Header) (metadata.MD, error) {
	if h.Len() == 0 {
		return nil, nil
	}
	return httpform.FromHeaders(h.All())
}

// toHeader adds md to headers.
func toHeader(h *connect.Header, md metadata.MD) {
	for _, p := range md {
		if strings.HasSuffix(p.Key, metadata.BinarySuffix) {
			h.Add(p.Key, connect.EncodeBinaryHeader([]byte(p.Value)))
		} else {
			h.Add(p.Key, p.Value)
		}
	}
}

// toConnect returns err as connect knows it. The error of the runtime, with all
// that it says, is its cause.
func toConnect(err error) *connect.Error {
	e := status.FromError(err)
	return httpform.ToConnect(e).WithCause(e)
}

// fromConnect returns what a handler failed with as its caller is to see it. As
// connect does, it shows no text that was not meant for callers.
func fromConnect(err error) error {
	var ce *connect.Error
	if !errors.As(err, &ce) || ce == nil {
		var e *status.Error
		switch {
		case err == nil || errors.As(err, &e):
			return err // which was meant for them, too
		case errors.Is(err, context.Canceled):
			return status.New(status.Canceled, "").WithCause(err)
		case errors.Is(err, context.DeadlineExceeded):
			return status.New(status.DeadlineExceeded, "").WithCause(err)
		}
		return status.New(status.Unknown, "").WithCause(err)
	}
	if ce.IsRemote() {
		return status.New(status.Internal, "").WithCause(err)
	}
	if e, ok := ce.Unwrap().(*status.Error); ok && connect.Code(e.Code()) == ce.Code() && e.Message() == ce.Message() {
		return e // it came from here
	}
	return httpform.FromConnect(err)
}

// fill makes dst what src is. They may share what they refer to: src is not used
// any more.
func fill(dst, src any) error {
	to, ok1 := dst.(proto.Message)
	from, ok2 := src.(proto.Message)
	if !ok1 || !ok2 {
		return status.Errorf(status.Internal, "%T and %T are not both protobuf messages", dst, src)
	}
	t, f := to.ProtoReflect(), from.ProtoReflect()
	proto.Reset(to)
	switch {
	case t.Type() == f.Type():
		f.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			t.Set(fd, v)
			return true
		})
		t.SetUnknown(f.GetUnknown())
		return nil
	case t.Descriptor() == f.Descriptor():
		proto.Merge(to, from)
		return nil
	}
	b, err := proto.Marshal(from) // two views of one message
	if err == nil {
		err = proto.Unmarshal(b, to)
	}
	return err
}
