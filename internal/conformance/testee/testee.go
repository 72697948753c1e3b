// Package testee is what protobuf's official conformance runner tests: a
// program that parses each message that it is sent and writes it again.
// Protobuf goes through runtime/codec, JSON and text through protobuf-go. Each
// case is also compared with what protobuf-go does with it.
//
// The runner's own messages are used by their names, because their Go code is
// generated only for a run.
package testee

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/rpcx-go/rpcx/internal/difftest"
	"github.com/rpcx-go/rpcx/runtime/codec"
)

// maxRequest is the most bytes that a request may have.
const maxRequest = 64 << 20

// Testee answers a runner. Its types have to be linked in.
type Testee struct {
	// Codec is what is tested.
	Codec codec.Codec

	cases, divergences int
}

// Serve answers requests until their end. A request or answer is a
// little-endian length of four bytes and a message of so many.
func (t *Testee) Serve(in io.Reader, out io.Writer) error {
	requests, err := protoregistry.GlobalTypes.FindMessageByName("conformance.ConformanceRequest")
	if err != nil {
		return err
	}
	responses, err := protoregistry.GlobalTypes.FindMessageByName("conformance.ConformanceResponse")
	if err != nil {
		return err
	}
	for {
		var length [4]byte
		if _, err := io.ReadFull(in, length[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		size := binary.LittleEndian.Uint32(length[:])
		if size > maxRequest {
			return fmt.Errorf("a request of %d bytes", size)
		}
		data := make([]byte, size)
		if _, err := io.ReadFull(in, data); err != nil {
			return err
		}
		req, res := requests.New(), responses.New()
		if err := proto.Unmarshal(data, req.Interface()); err != nil {
			return err
		}
		t.answer(newRequest(req)).write(res)
		if data, err = proto.Marshal(res.Interface()); err != nil {
			return err
		}
		data = append(binary.LittleEndian.AppendUint32(nil, uint32(len(data))), data...)
		if _, err := out.Write(data); err != nil {
			return err
		}
	}
}

// Summary says how many cases there were.
func (t *Testee) Summary() string {
	return fmt.Sprintf("testee: cases=%d divergences=%d", t.cases, t.divergences)
}

// answer answers one request. A panic is part of the answer.
func (t *Testee) answer(req request) (a answer) {
	defer func() {
		if r := recover(); r != nil {
			a = failed("runtime_error", fmt.Errorf("panic: %v", r))
		}
	}()
	t.cases++
	mt, err := protoregistry.GlobalTypes.FindMessageByName(req.messageType)
	if err != nil {
		return failed("runtime_error", err)
	}
	if req.payload == "jspb_payload" || req.output == "JSPB" {
		return answer{"skipped", protoreflect.ValueOfString("JSPB is known to Google only")}
	}
	m := mt.New().Interface()
	parseErr := t.parse(req, m)
	if err := t.compare(req, m, parseErr); err != nil {
		t.divergences++
		return failed("runtime_error", fmt.Errorf("diverges from protobuf-go: %w", err))
	}
	if parseErr != nil {
		return failed("parse_error", parseErr)
	}
	return t.write(req, m)
}

// parse fills m from what the request holds.
func (t *Testee) parse(req request, m proto.Message) error {
	switch req.payload {
	case "protobuf_payload":
		return t.Codec.Unmarshal(req.data, m)
	case "json_payload":
		opts := protojson.UnmarshalOptions{DiscardUnknown: req.category == "JSON_IGNORE_UNKNOWN_PARSING_TEST"}
		return opts.Unmarshal(req.data, m)
	case "text_payload":
		return prototext.Unmarshal(req.data, m)
	}
	return fmt.Errorf("a request with %q", req.payload)
}

// compare compares the codec with protobuf-go on the case.
func (t *Testee) compare(req request, m proto.Message, parseErr error) error {
	c := difftest.Default
	c.Codec = t.Codec
	if req.payload == "protobuf_payload" {
		return c.Check(m.ProtoReflect().Type(), req.data)
	}
	if parseErr != nil {
		return nil
	}
	return c.CheckMessage(m)
}

// write answers with m in the format that the request asks for.
func (t *Testee) write(req request, m proto.Message) answer {
	switch req.output {
	case "PROTOBUF":
		size, err := codec.Size(t.Codec, m)
		if err != nil {
			return failed("serialize_error", err)
		}
		data, err := codec.Append(t.Codec, make([]byte, 0, size), m, size)
		if err != nil {
			return failed("serialize_error", err)
		}
		return answer{"protobuf_payload", protoreflect.ValueOfBytes(data)}
	case "JSON":
		data, err := protojson.Marshal(m)
		if err != nil {
			return failed("serialize_error", err)
		}
		return answer{"json_payload", protoreflect.ValueOfString(string(data))}
	case "TEXT_FORMAT":
		data, err := prototext.MarshalOptions{EmitUnknown: req.printUnknown}.Marshal(m)
		if err != nil {
			return failed("serialize_error", err)
		}
		return answer{"text_payload", protoreflect.ValueOfString(string(data))}
	}
	return failed("runtime_error", errors.New("the runner asks for an unknown format"))
}
