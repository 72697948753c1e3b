package status_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/status"
)

// names lists the codes as google/rpc/code.proto has them, in order.
const names = "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS " +
	"PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED " +
	"INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED"

func TestCodeNames(t *testing.T) {
	for i, name := range strings.Fields(names) {
		c := status.Code(i)
		if !c.Valid() || c.String() != name {
			t.Errorf("code %d is %q, valid %v; want %q", i, c, c.Valid(), name)
		}
		for _, spelled := range []string{name, strings.ToLower(name)} {
			if got, err := status.ParseCode(spelled); got != c || err != nil {
				t.Errorf("ParseCode(%q) = %v, %v", spelled, got, err)
			}
		}
		text, err := c.MarshalText()
		var back status.Code
		if err != nil || back.UnmarshalText(text) != nil || back != c {
			t.Errorf("code %d as text is %q, %v, and back %v", i, text, err, back)
		}
	}
	if got := status.Unauthenticated; got != 16 {
		t.Errorf("Unauthenticated is %d", got)
	}
	if c, err := status.ParseCode("CANCELED"); c != status.Canceled || err != nil {
		t.Errorf("ParseCode(CANCELED) = %v, %v", c, err)
	}
}

func TestInvalidCodes(t *testing.T) {
	c := status.Code(17)
	if c.Valid() || c.String() != "CODE_17" {
		t.Errorf("code 17 is %q, valid %v", c, c.Valid())
	}
	if _, err := c.MarshalText(); err == nil {
		t.Error("code 17 was marshaled")
	}
	for _, name := range []string{"", "CODE_17", "NOT FOUND"} {
		var c status.Code
		if err := c.UnmarshalText([]byte(name)); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", name)) {
			t.Errorf("UnmarshalText(%q): %v, want an error that names it", name, err)
		}
	}
	for _, c := range []status.Code{status.OK, 17} {
		if got := status.New(c, "x").Code(); got != status.Unknown {
			t.Errorf("New(%v).Code() = %v, want UNKNOWN", c, got)
		}
	}
}

func TestErrorText(t *testing.T) {
	tests := []struct {
		err  error
		want string
	}{
		{status.Errorf(status.NotFound, "user %d does not exist", 7), "NOT_FOUND: user 7 does not exist"},
		{status.New(status.Internal, ""), "INTERNAL"},
		{status.New(status.DeadlineExceeded, "no answer in 1s").WithPhase(status.PhaseDial),
			"DEADLINE_EXCEEDED: no answer in 1s (while waiting for: dial)"},
		{(*status.Error)(nil), "OK"},
	}
	for _, test := range tests {
		if got := test.err.Error(); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestPhaseNames(t *testing.T) {
	var got []string
	for p := status.PhaseNone; p <= status.PhaseReceive+1; p++ {
		got = append(got, p.String())
	}
	const want = "none,resolve,pick,dial,queue,send,handler,receive,invalid phase"
	if s := strings.Join(got, ","); s != want {
		t.Errorf("phases are %s, want %s", s, want)
	}
}

func TestErrorfKeepsCauses(t *testing.T) {
	one := status.Errorf(status.Unavailable, "reading: %w", io.ErrUnexpectedEOF)
	if !errors.Is(one, io.ErrUnexpectedEOF) || errors.Unwrap(one) != io.ErrUnexpectedEOF {
		t.Errorf("the cause of %v is %v", one, errors.Unwrap(one))
	}
	two := status.Errorf(status.Unavailable, "%w and %w", io.ErrUnexpectedEOF, io.ErrClosedPipe)
	if !errors.Is(two, io.ErrUnexpectedEOF) || !errors.Is(two, io.ErrClosedPipe) {
		t.Errorf("%v has lost a cause", two)
	}
	if none := status.Errorf(status.Unavailable, "%v", io.EOF); errors.Is(none, io.EOF) {
		t.Errorf("%v has a cause although nothing says %%w", none)
	}
	var asError *status.Error
	if !errors.As(one, &asError) || asError.Message() != "reading: unexpected EOF" {
		t.Errorf("message is %q", asError.Message())
	}
}

func TestCodeOfAndFromError(t *testing.T) {
	notFound := status.New(status.NotFound, "no user")
	var nilError *status.Error
	tests := []struct {
		name string
		err  error
		code status.Code
		msg  string
	}{
		{"nil", nil, status.OK, ""},
		{"a nil *Error", nilError, status.OK, ""},
		{"an Error", notFound, status.NotFound, "no user"},
		{"wrapped", fmt.Errorf("loading: %w", notFound), status.NotFound, "no user"},
		{"joined", errors.Join(io.EOF, notFound), status.NotFound, "no user"},
		{"the outer of two", status.Errorf(status.Internal, "loading: %w", notFound), status.Internal, "loading: NOT_FOUND: no user"},
		{"uncoded", io.EOF, status.Unknown, "EOF"},
		{"canceled", fmt.Errorf("x: %w", context.Canceled), status.Canceled, "x: context canceled"},
		{"deadline", context.DeadlineExceeded, status.DeadlineExceeded, "context deadline exceeded"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := status.CodeOf(test.err); got != test.code {
				t.Errorf("CodeOf = %v, want %v", got, test.code)
			}
			e := status.FromError(test.err)
			if e.Code() != test.code || e.Message() != test.msg {
				t.Errorf("FromError = %v, want %v: %s", e, test.code, test.msg)
			}
			if (e == nil) != (test.code == status.OK) {
				t.Errorf("FromError = %#v", e)
			}
		})
	}
	if e := status.FromError(notFound); e != notFound {
		t.Errorf("FromError wrapped an *Error again")
	}
	if e := status.FromError(context.Canceled); !errors.Is(e, context.Canceled) {
		t.Errorf("FromError lost the cause")
	}
}

func TestIs(t *testing.T) {
	notFound := status.New(status.NotFound, "no user")
	tests := []struct {
		name   string
		err    error
		target *status.Error
		want   bool
	}{
		{"a code alone", fmt.Errorf("x: %w", notFound), status.New(status.NotFound, ""), true},
		{"another code", notFound, status.New(status.Internal, ""), false},
		{"itself", notFound, notFound, true},
		{"an equal message", notFound, status.New(status.NotFound, "no user"), false},
		{"a cause", notFound, status.New(status.NotFound, "").WithCause(io.EOF), false},
		{"no Error", io.EOF, status.New(status.Unknown, ""), false},
		{"a nil target", notFound, nil, false},
	}
	for _, test := range tests {
		if got := errors.Is(test.err, test.target); got != test.want {
			t.Errorf("%s: Is = %v, want %v", test.name, got, test.want)
		}
	}
}

// TestAttributes checks every With method, and that it leaves its receiver as it was.
func TestAttributes(t *testing.T) {
	type view struct {
		NotRun, RetryAfterSet, DoNotRetry bool
		RetryAfter                        time.Duration
		Phase                             status.Phase
		Cause                             error
		Details                           int
	}
	viewOf := func(e *status.Error) view {
		d, ok := e.RetryAfter()
		return view{e.NotRun(), ok, e.DoNotRetry(), d, e.Phase(), e.Unwrap(), len(e.Details())}
	}
	plain := status.New(status.Unavailable, "busy")
	tests := []struct {
		name string
		got  *status.Error
		want view
	}{
		{"nil", nil, view{}},
		{"plain", plain, view{}},
		{"not run", plain.WithNotRun(), view{NotRun: true}},
		{"retry after", plain.WithRetryAfter(time.Second), view{RetryAfterSet: true, RetryAfter: time.Second}},
		{"retry at once", plain.WithRetryAfter(0), view{RetryAfterSet: true}},
		{"retry after less than nothing", plain.WithRetryAfter(-1), view{RetryAfterSet: true}},
		{"do not retry", plain.WithRetryAfter(time.Second).WithDoNotRetry(), view{DoNotRetry: true}},
		{"retry after all", plain.WithDoNotRetry().WithRetryAfter(5), view{RetryAfterSet: true, RetryAfter: 5}},
		{"phase", plain.WithPhase(status.PhaseQueue), view{Phase: status.PhaseQueue}},
		{"raw details", plain.WithRawDetails(status.Detail{Type: "a"}).WithRawDetails(status.Detail{Type: "b"}), view{Details: 2}},
		{"two at once", plain.WithNotRun().WithPhase(status.PhaseSend), view{NotRun: true, Phase: status.PhaseSend}},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, viewOf(test.got)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", test.name, diff)
		}
		if test.got != nil && (test.got.Code() != status.Unavailable || test.got.Message() != "busy") {
			t.Errorf("%s: became %v", test.name, test.got)
		}
	}
	if got := plain.WithCause(io.EOF); !errors.Is(got, io.EOF) {
		t.Errorf("WithCause: cause is %v", got.Unwrap())
	}
	if diff := cmp.Diff(view{}, viewOf(plain)); diff != "" {
		t.Errorf("the original changed: -want +got:\n%s", diff)
	}
}

func TestDetails(t *testing.T) {
	plain := status.New(status.ResourceExhausted, "quota used up")
	e, err := plain.WithDetails(durationpb.New(time.Minute), wrapperspb.String("first"))
	if err != nil {
		t.Fatal(err)
	}
	e, err = e.WithDetails(wrapperspb.String("second"))
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, d := range e.Details() {
		types = append(types, d.Type)
	}
	want := []string{
		"type.googleapis.com/google.protobuf.Duration",
		"type.googleapis.com/google.protobuf.StringValue",
		"type.googleapis.com/google.protobuf.StringValue",
	}
	if diff := cmp.Diff(want, types); diff != "" {
		t.Errorf("type URLs: -want +got:\n%s", diff)
	}
	wrapped := fmt.Errorf("saving: %w", e)
	if d, ok := status.DetailAs[*durationpb.Duration](wrapped); !ok || d.AsDuration() != time.Minute {
		t.Errorf("Duration is %v, %v", d, ok)
	}
	if s, ok := status.DetailAs[*wrapperspb.StringValue](wrapped); !ok || s.GetValue() != "first" {
		t.Errorf("StringValue is %v, %v; want the first", s, ok)
	}
	if v, ok := status.DetailAs[*wrapperspb.BoolValue](wrapped); ok || v != nil {
		t.Errorf("BoolValue is %v, %v; want none", v, ok)
	}
	if len(plain.Details()) != 0 {
		t.Errorf("the original has %d details", len(plain.Details()))
	}
}

func TestDetailAsOddInput(t *testing.T) {
	if _, ok := status.DetailAs[*durationpb.Duration](nil); ok {
		t.Error("nil has a detail")
	}
	if _, ok := status.DetailAs[*durationpb.Duration](io.EOF); ok {
		t.Error("an uncoded error has a detail")
	}
	good, err := proto.Marshal(wrapperspb.String("good"))
	if err != nil {
		t.Fatal(err)
	}
	e := status.New(status.Internal, "").WithRawDetails(
		status.Detail{Type: "type.googleapis.com/google.protobuf.StringValue", Value: []byte{0xff}},
		status.Detail{Type: "example.com/x/google.protobuf.StringValue", Value: good},
	)
	if s, ok := status.DetailAs[*wrapperspb.StringValue](e); !ok || s.GetValue() != "good" {
		t.Errorf("got %v, %v; want the detail that parses", s, ok)
	}
	if _, ok := status.DetailAs[proto.Message](e); ok {
		t.Error("an interface type has a detail")
	}
}

func TestWithDetailsFails(t *testing.T) {
	plain := status.New(status.Internal, "x")
	for name, msg := range map[string]proto.Message{
		"google.protobuf.StringValue": wrapperspb.String("\xff"), // not UTF-8
		"nil":                         nil,
	} {
		e, err := plain.WithDetails(wrapperspb.Bool(true), msg)
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want an error that names it", name, err)
		}
		if e != plain {
			t.Errorf("%s: WithDetails returned %v, want the error it was called on", name, e)
		}
	}
}

func TestDetailsCannotBeAppendedTo(t *testing.T) {
	e, err := status.New(status.Internal, "").WithDetails(wrapperspb.Bool(true))
	if err != nil {
		t.Fatal(err)
	}
	a, _ := e.WithDetails(wrapperspb.String("a"))
	b, _ := e.WithDetails(wrapperspb.String("b"))
	if s, _ := status.DetailAs[*wrapperspb.StringValue](a); s.GetValue() != "a" {
		t.Errorf("one copy's details changed with another's: %v", s)
	}
	if s, _ := status.DetailAs[*wrapperspb.StringValue](b); s.GetValue() != "b" {
		t.Errorf("one copy's details changed with another's: %v", s)
	}
}

func TestCodeOfDoesNotAllocate(t *testing.T) {
	err := status.Errorf(status.NotFound, "x")
	if n := testing.AllocsPerRun(100, func() { status.CodeOf(err) }); n != 0 {
		t.Errorf("CodeOf allocates %v times", n)
	}
}
