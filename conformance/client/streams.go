package main

import (
	"context"
	"io"
	"time"

	"github.com/rpcx-go/rpcx/conformance/compat"
	conformancev1 "github.com/rpcx-go/rpcx/conformance/gen"
	"github.com/rpcx-go/rpcx/runtime/metadata"
)

// metadataSource is a stream that has ended.
type metadataSource interface {
	Header() (metadata.MD, error)
	Trailer() metadata.MD
}

// addMetadata adds to r what came with the messages. Without an answer there are
// no headers.
func addMetadata(r *result, stream metadataSource) {
	if header, err := stream.Header(); err == nil {
		r.ResponseHeaders = compat.Headers(header)
	}
	r.ResponseTrailers = compat.Headers(stream.Trailer())
}

// failed returns the result of a call that did not begin.
func failed(err error) *result { return &result{Error: compat.Error(err)} }

func serverStream(ctx context.Context, cancel func(), when timing, req *request, c stub) (*result, error) {
	msg, err := only[conformancev1.ServerStreamRequest](req)
	if err != nil {
		return nil, err
	}
	stream, err := c.ServerStream(ctx, msg)
	if err != nil {
		return failed(err), nil
	}
	defer stream.Close()
	if when.afterCloseSend >= 0 {
		time.Sleep(when.afterCloseSend)
		cancel()
	}
	r := new(result)
	for res, err := range stream.All() {
		if err != nil {
			r.Error = compat.Error(err)
			break
		}
		r.Payloads = append(r.Payloads, res.GetPayload())
		if len(r.Payloads) == when.afterResponses {
			cancel()
		}
	}
	addMetadata(r, stream)
	return r, nil
}

func clientStream(ctx context.Context, cancel func(), when timing, req *request, c stub) (*result, error) {
	stream, err := c.ClientStream(ctx)
	if err != nil {
		return failed(err), nil
	}
	defer stream.Close()
	r := new(result)
	for i, packed := range req.GetRequestMessages() {
		msg, err := unpack[conformancev1.ClientStreamRequest](packed)
		if err != nil {
			return nil, err
		}
		time.Sleep(milliseconds(req.GetRequestDelayMs()))
		if stream.Send(msg) != nil { // what comes in the end says why
			r.NumUnsentRequests = int32(len(req.GetRequestMessages()) - i)
			break
		}
	}
	if when.beforeCloseSend {
		cancel()
	} else if when.afterCloseSend >= 0 {
		defer time.AfterFunc(when.afterCloseSend, cancel).Stop()
	}
	res, err := stream.CloseAndRecv()
	if err != nil {
		r.Error = compat.Error(err)
	} else {
		r.Payloads = []*payload{res.GetPayload()}
	}
	addMetadata(r, stream)
	return r, nil
}

func bidiStream(ctx context.Context, cancel func(), when timing, req *request, c stub) (*result, error) {
	stream, err := c.BidiStream(ctx)
	if err != nil {
		return failed(err), nil
	}
	defer stream.Close()
	r := new(result)
	over := false
	// receive receives an answer, or how the call ended.
	receive := func() {
		res, err := stream.Recv()
		if err != nil {
			over = true
			if err != io.EOF {
				r.Error = compat.Error(err)
			}
			return
		}
		r.Payloads = append(r.Payloads, res.GetPayload())
		if len(r.Payloads) == when.afterResponses {
			cancel()
		}
	}
	for i, packed := range req.GetRequestMessages() {
		msg, err := unpack[conformancev1.BidiStreamRequest](packed)
		if err != nil {
			return nil, err
		}
		time.Sleep(milliseconds(req.GetRequestDelayMs()))
		if stream.Send(msg) != nil { // what is received says why
			r.NumUnsentRequests = int32(len(req.GetRequestMessages()) - i)
			break
		}
		if req.GetStreamType() == conformancev1.StreamType_STREAM_TYPE_FULL_DUPLEX_BIDI_STREAM {
			receive()
		}
		if over {
			break
		}
	}
	if when.beforeCloseSend {
		cancel()
	}
	_ = stream.CloseSend() // what is received says why it failed
	if when.afterCloseSend >= 0 {
		time.Sleep(when.afterCloseSend)
		cancel()
	}
	for !over {
		receive()
	}
	addMetadata(r, stream)
	return r, nil
}
