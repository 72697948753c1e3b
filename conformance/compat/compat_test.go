package compat

import (
	"bytes"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/anypb"

	conformancev1 "github.com/rpcx-go/rpcx/conformance/gen"
	"github.com/rpcx-go/rpcx/runtime/metadata"
)

func TestDelimited(t *testing.T) {
	var b bytes.Buffer
	msgs := []*conformancev1.Header{{Name: "a", Value: []string{"b"}}, {}, {Name: "c"}}
	for _, msg := range msgs {
		if err := Write(&b, msg); err != nil {
			t.Fatal(err)
		}
	}
	whole := b.Bytes()
	for _, want := range msgs {
		got := new(conformancev1.Header)
		if err := Read(&b, got); err != nil || !proto.Equal(got, want) {
			t.Errorf("read %v, %v, want %v", got, err, want)
		}
	}
	if err := Read(&b, new(conformancev1.Header)); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	for n := 1; n < 4+len("\n\x01a\x12\x01b"); n++ {
		if err := Read(bytes.NewReader(whole[:n]), new(conformancev1.Header)); err == nil || err == io.EOF {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if err := Read(bytes.NewReader([]byte{0xff, 0xff, 0xff, 0xff}), new(conformancev1.Header)); err == nil {
		t.Error("takes a message of 4 GiB")
	}
}

func TestMetadata(t *testing.T) {
	headers := []*conformancev1.Header{
		{Name: "X-Some", Value: []string{"1", "2"}},
		{Name: "x-raw-bin", Value: []string{"AP8=", "AP8"}},
		{Name: "x-some", Value: []string{"3"}},
		{Name: "x-none"},
	}
	md, err := Metadata(headers)
	want := metadata.Pairs("x-some", "1", "x-some", "2", "x-raw-bin", "\x00\xff", "x-raw-bin", "\x00\xff", "x-some", "3")
	if diff := cmp.Diff(want, md); err != nil || diff != "" {
		t.Errorf("%v, metadata (-want +got):\n%s", err, diff)
	}
	back := []*conformancev1.Header{
		{Name: "x-some", Value: []string{"1", "2", "3"}},
		{Name: "x-raw-bin", Value: []string{"AP8", "AP8"}},
	}
	if diff := cmp.Diff(back, Headers(md), protocmp.Transform()); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if _, err := Metadata([]*conformancev1.Header{{Name: "a-bin", Value: []string{"?"}}}); err == nil {
		t.Error("takes what is not base64")
	}
}

func TestErrors(t *testing.T) {
	detail, err := anypb.New(&conformancev1.Header{Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	e := &conformancev1.Error{Code: conformancev1.Code_CODE_ABORTED, Message: proto.String("no"), Details: []*anypb.Any{detail}}
	got := Error(Status(e, &conformancev1.Header{Name: "b"}))
	last, err := anypb.New(&conformancev1.Header{Name: "b"})
	if err != nil {
		t.Fatal(err)
	}
	e.Details = append(e.Details, last)
	if diff := cmp.Diff(e, got, protocmp.Transform()); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	if Error(nil) != nil {
		t.Error("success is an error")
	}
}
