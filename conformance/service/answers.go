package service

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/rpcx-go/rpcx/conformance/compat"
	conformancev1 "github.com/rpcx-go/rpcx/conformance/gen"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

// answers are the answers of a call that streams them. One goroutine uses it.
type answers struct {
	ctx  context.Context
	send func(*payload) error
	def  *conformancev1.StreamResponseDefinition
	sent int
}

// begin sets the metadata, and sends the headers at once if there will be
// messages, so that the caller need not wait for those.
func (a *answers) begin(def *conformancev1.StreamResponseDefinition) error {
	a.def = def
	if err := setMetadata(a.ctx, def.GetResponseHeaders(), def.GetResponseTrailers()); err != nil {
		return err
	}
	if !a.more() {
		return nil
	}
	return rpcx.SendHeader(a.ctx, nil)
}

// more reports whether there is another answer.
func (a *answers) more() bool { return a.sent < len(a.def.GetResponseData()) }

// next sends an answer that tells of the given requests; the first one tells of
// the call, too.
func (a *answers) next(requests ...proto.Message) error {
	describe := echoed
	if a.sent == 0 {
		describe = func(requests []proto.Message) (*requestInfo, error) { return received(a.ctx, requests) }
	}
	info, err := describe(requests)
	if err != nil {
		return err
	}
	p := &payload{Data: a.def.GetResponseData()[a.sent], RequestInfo: info}
	if err := wait(a.ctx, a.def.GetResponseDelayMs()); err != nil {
		return err
	}
	if err := a.send(p); err != nil {
		return err
	}
	a.sent++
	return nil
}

// rest sends the answers that are left and returns how the call is to end. The
// first answer, or the error if there is none, tells of the given requests.
func (a *answers) rest(requests ...proto.Message) error {
	for a.more() {
		if err := a.next(requests...); err != nil {
			return err
		}
		requests = nil
	}
	switch e := a.def.GetError(); {
	case e == nil:
		return nil
	case a.sent > 0:
		return compat.Status(e)
	default:
		info, err := received(a.ctx, requests)
		if err != nil {
			return err
		}
		return compat.Status(e, info)
	}
}
