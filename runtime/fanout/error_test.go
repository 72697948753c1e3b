package fanout

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/rpcx-go/rpcx/runtime/status"
)

// failed returns the error of parts that fail with the given errors.
func failing(t *testing.T, errs ...error) error {
	t.Helper()
	_, err := All(t.Context(), errs, func(_ context.Context, err error) (int, error) { return 0, err }, WithPartialResults())
	return err
}

func coded(codes ...status.Code) []error {
	errs := make([]error, len(codes))
	for i, c := range codes {
		errs[i] = status.New(c, "")
	}
	return errs
}

func TestCode(t *testing.T) {
	for _, test := range []struct {
		parts []error
		want  status.Code
	}{
		{coded(status.NotFound, status.NotFound), status.NotFound},
		{coded(status.NotFound, status.Internal), status.NotFound},
		{coded(status.Internal, status.NotFound), status.Internal},
		{coded(status.Unavailable, status.NotFound), status.NotFound},
		{coded(status.Unavailable, status.NotFound, status.DataLoss), status.NotFound},
		{coded(status.Unavailable, status.Aborted), status.Aborted},
		{coded(status.Aborted, status.ResourceExhausted), status.ResourceExhausted},
		{coded(status.ResourceExhausted, status.DeadlineExceeded), status.DeadlineExceeded},
		{coded(status.DeadlineExceeded, status.Canceled), status.Canceled},
		{coded(status.Canceled, status.Unknown), status.Unknown},
		{[]error{io.EOF, status.New(status.Unavailable, "")}, status.Unknown},
		{[]error{context.DeadlineExceeded}, status.DeadlineExceeded},
	} {
		if got := status.CodeOf(failing(t, test.parts...)); got != test.want {
			t.Errorf("code of %v = %v, want %v", test.parts, got, test.want)
		}
	}
}

func TestErrorOfParts(t *testing.T) {
	err := failing(t, errAway, nil, io.EOF)
	var e *Error
	if !errors.As(err, &e) || e.Total != 3 || len(e.Parts) != 2 || e.Parts[0].Part != 0 || e.Parts[1].Part != 2 {
		t.Fatalf("error is %#v", err)
	}
	if !errors.Is(err, io.EOF) || !errors.Is(err, errAway) || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v does not unwrap to its parts", err)
	}
	var part *PartError
	if !errors.As(err, &part) || part != e.Parts[0] {
		t.Errorf("the first part is %v", part)
	}
	if got := status.FromError(part); got != errAway {
		t.Errorf("the part's own error is %v", got)
	}
	// As part of another fan-out it is one error.
	outer := failing(t, err)
	if status.CodeOf(outer) != status.Unknown || !errors.Is(outer, io.EOF) {
		t.Errorf("outer error is %v", outer)
	}
}

func TestNotRun(t *testing.T) {
	ran := status.New(status.Unavailable, "")
	for _, test := range []struct {
		parts []error
		want  bool
	}{
		{[]error{errAway, errAway}, true},
		{[]error{errAway, ran}, false},
		{[]error{errAway, nil}, false},
		{[]error{errAway, io.EOF}, false},
		{[]error{failing(t, errAway, errAway), errAway}, true},
		{[]error{failing(t, errAway, ran), errAway}, false},
	} {
		if got := status.FromError(failing(t, test.parts...)).NotRun(); got != test.want {
			t.Errorf("NotRun of %v = %t", test.parts, got)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	wait := func(d time.Duration) error { return status.New(status.Unavailable, "").WithRetryAfter(d) }
	never := status.New(status.Unavailable, "").WithDoNotRetry()
	for _, test := range []struct {
		parts  []error
		want   time.Duration
		asked  bool
		forbid bool
	}{
		{[]error{errMissing, errAway}, 0, false, false},
		{[]error{wait(2), wait(3), wait(1)}, 3, true, false},
		{[]error{wait(0), errAway}, 0, true, false},
		{[]error{wait(2), never, wait(3)}, 0, false, true},
	} {
		s := status.FromError(failing(t, test.parts...))
		d, asked := s.RetryAfter()
		if d != test.want || asked != test.asked || s.DoNotRetry() != test.forbid {
			t.Errorf("%v: retry after %v, %t; never %t", test.parts, d, asked, s.DoNotRetry())
		}
	}
}

// TestNotRunOfCancelled looks at a part that was cancelled before it was sent.
func TestNotRunOfCancelled(t *testing.T) {
	unsent := status.New(status.Canceled, "")
	for _, cancelled := range []*status.Error{unsent, unsent.WithNotRun()} {
		err := Do(t.Context(),
			func(context.Context) error { return errAway },
			func(ctx context.Context) error { <-ctx.Done(); return cancelled },
		)
		if got := status.FromError(err).NotRun(); got != cancelled.NotRun() {
			t.Errorf("NotRun = %t beside a cancelled part for which it is %t", got, cancelled.NotRun())
		}
	}
}
