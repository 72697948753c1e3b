package frame

import (
	"math"
	"testing"
	"time"

	"github.com/rpcx-go/rpcx/runtime/status"
)

func TestDeadlineArg(t *testing.T) {
	const longest = math.MaxUint32 * DeadlineUnit
	for _, c := range []struct {
		d    time.Duration
		want uint32
	}{
		{math.MinInt64, 1}, {-1, 1}, {0, 1}, {1, 1}, {DeadlineUnit, 1}, {DeadlineUnit + 1, 2},
		{time.Second, 10000}, {time.Second + 1, 10001}, {longest - 1, math.MaxUint32},
		{longest, math.MaxUint32}, {longest + 1, math.MaxUint32}, {math.MaxInt64, math.MaxUint32},
	} {
		if got := DeadlineArg(c.d); got != c.want {
			t.Errorf("DeadlineArg(%v) = %d, want %d", c.d, got, c.want)
		}
	}
	if _, ok := ArgDeadline(NoDeadline); ok {
		t.Error("0 is a deadline")
	}
	if d, ok := ArgDeadline(math.MaxUint32); !ok || d != longest {
		t.Errorf("the largest deadline reads %v, %v", d, ok)
	}
}

func TestPushBackArg(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want uint32
	}{
		{-5, 1}, {0, 1}, {1, 1}, {time.Millisecond, 1}, {time.Millisecond + 1, 2},
		{250 * time.Millisecond, 250}, {math.MaxInt64, math.MaxUint32 - 1},
	} {
		got := PushBackArg(c.d)
		if got != c.want {
			t.Errorf("PushBackArg(%v) = %d, want %d", c.d, got, c.want)
		}
		if wait, never := ArgPushBack(got); never || wait < min(c.d, time.Duration(c.want)*time.Millisecond) {
			t.Errorf("%d reads %v, %v", got, wait, never)
		}
	}
	if _, never := ArgPushBack(NeverRetry); !never {
		t.Error("NeverRetry permits a retry")
	}
	if wait, never := ArgPushBack(NoPushBack); wait != 0 || never {
		t.Error("NoPushBack says something")
	}
}

func TestStatusPushBack(t *testing.T) {
	e := status.New(status.Unavailable, "")
	for _, c := range []struct {
		e    *status.Error
		want uint32
	}{
		{e, NoPushBack}, {e.WithDoNotRetry(), NeverRetry},
		{e.WithRetryAfter(0), 1}, {e.WithRetryAfter(time.Second), 1000},
	} {
		if got := StatusPushBack(c.e); got != c.want {
			t.Errorf("%v: %d, want %d", c.e, got, c.want)
		}
	}
}

func TestSniff(t *testing.T) {
	for n := range PrefaceSize {
		if got := Sniff([]byte(Preface[:n])); got != NeedMore {
			t.Errorf("%d bytes: %v", n, got)
		}
		wrong := []byte(Preface[:n+1])
		wrong[n] ^= 0x20
		want := NotNative
		if n == PrefaceSize-1 {
			want = NativeOtherVersion
		}
		if got := Sniff(wrong); got != want {
			t.Errorf("byte %d wrong: %v, want %v", n, got, want)
		}
		if got := Sniff(append(wrong, "more to come"...)); n < PrefaceSize-1 && got != want {
			t.Errorf("byte %d wrong and more bytes: %v, want %v", n, got, want)
		}
	}
	if got := Sniff([]byte(Preface)); got != Native {
		t.Errorf("preface: %v", got)
	}
	if got := Sniff([]byte(Preface + "anything")); got != Native {
		t.Errorf("preface and more: %v", got)
	}
}
