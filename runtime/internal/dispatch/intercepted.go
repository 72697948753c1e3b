package dispatch

import (
	"io"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// intercepted is a stream whose messages interceptors see.
type intercepted struct {
	call.ServerStream
	call *call.Call
	// single says that the caller sends one request, which interceptors may
	// have asked for or replaced.
	single   bool
	received bool
	// refused is the first error of an interceptor; it becomes the call's.
	refused atomic.Pointer[error]
}

func (s *intercepted) Send(msg any) error {
	if err := s.call.Sending(msg); err != nil {
		return s.refuse(err)
	}
	return s.ServerStream.Send(msg)
}

func (s *intercepted) Recv(msg any) error {
	if s.single {
		if s.received {
			return io.EOF
		}
		s.received = true
		if req, ok := s.call.Known(); ok {
			return s.copy(msg, req)
		}
	}
	if err := s.ServerStream.Recv(msg); err != nil {
		return err
	}
	if err := s.call.Received(msg); err != nil {
		return s.refuse(err)
	}
	return nil
}

// copy fills msg with a request that an interceptor has asked for or set.
func (s *intercepted) copy(msg, req any) error {
	from, ok1 := req.(proto.Message)
	to, ok2 := msg.(proto.Message)
	if !ok1 || !ok2 || from.ProtoReflect().Descriptor() != to.ProtoReflect().Descriptor() {
		return status.Errorf(status.Internal, "an interceptor of %s set a request of type %T where %T belongs", s.call.Method(), req, msg)
	}
	proto.Merge(to, from)
	return nil
}

func (s *intercepted) refuse(err error) error {
	s.refused.CompareAndSwap(nil, &err)
	return err
}
