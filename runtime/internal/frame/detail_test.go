package frame

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/rpcx-go/rpcx/runtime/status"
)

// detailBlock is e's DETAIL section without its length.
func detailBlock(t testing.TB, e *status.Error) (block []byte, omitted int) {
	t.Helper()
	b, omitted := AppendDetail(nil, e)
	block, rest, ok := cut(b)
	if !ok || len(rest) != 0 || len(block) > MaxDetail {
		t.Fatalf("section of %d bytes is not a length and as many bytes up to %d", len(b), MaxDetail)
	}
	return block, omitted
}

func detail(typ string, size int) status.Detail {
	return status.Detail{Type: typ, Value: []byte(strings.Repeat("x", size))}
}

func TestDetail(t *testing.T) {
	many := make([]status.Detail, MaxDetails+3)
	for i := range many {
		many[i] = detail("t", 1)
	}
	for _, c := range []struct {
		name    string
		msg     string
		details []status.Detail
		wantMsg string
		want    []status.Detail
		omitted int
	}{
		{"empty", "", nil, "", nil, 0},
		{"plain", "it broke", nil, "it broke", nil, 0},
		{"details", "m", []status.Detail{detail("a", 3), detail("b", 0)}, "m", []status.Detail{detail("a", 3), detail("b", 0)}, 0},
		{"invalid text", "a\xffb", nil, "a\ufffdb", nil, 0},
		{"long text", strings.Repeat("x", 9000), []status.Detail{detail("a", 3)}, strings.Repeat("x", MaxStatusMessage), []status.Detail{detail("a", 3)}, 0},
		{"cut at a rune", "x" + strings.Repeat("é", 5000), nil, "x" + strings.Repeat("é", (MaxStatusMessage-1)/2), nil, 0},
		{"long invalid text", strings.Repeat("\xff", 9000), nil, strings.Repeat("\ufffd", 1), nil, 0},
		{"too large", "m", []status.Detail{detail("a", 10000), detail("b", 10000), detail("c", 5000)}, "m",
			[]status.Detail{detail("a", 10000), detail("c", 5000)}, 1},
		{"too many", "m", many, "m", many[:MaxDetails], 3},
		{"no type", "m", []status.Detail{detail("", 1), detail("a", 1)}, "m", []status.Detail{detail("a", 1)}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			block, omitted := detailBlock(t, status.New(status.Internal, c.msg).WithRawDetails(c.details...))
			msg, details, err := ParseDetail(block)
			if err != nil {
				t.Fatal(err)
			}
			if msg != c.wantMsg || !utf8.ValidString(msg) {
				t.Errorf("message of %d bytes %.40q, want %d bytes %.40q", len(msg), msg, len(c.wantMsg), c.wantMsg)
			}
			if diff := cmp.Diff(c.want, details); diff != "" {
				t.Errorf("details (-want +got):\n%s", diff)
			}
			if omitted != c.omitted {
				t.Errorf("%d omitted, want %d", omitted, c.omitted)
			}
		})
	}
}

func TestGoAwayTextIsBounded(t *testing.T) {
	b := AppendGoAway(nil, 1, InternalError, "x"+strings.Repeat("€", 1000))
	h, err := ParseHeader(b)
	if err != nil || h.Validate(64<<10) != nil {
		t.Fatalf("header %v, %v", &h, err)
	}
	g := ParseGoAway(&h, b[HeaderSize:])
	if want := "x" + strings.Repeat("€", (MaxGoAwayText-1)/3); g.Text != want {
		t.Errorf("text of %d bytes, want %d", len(g.Text), len(want))
	}
}

// TestParseDetailCopies: the block belongs to the caller again.
func TestParseDetailCopies(t *testing.T) {
	block, _ := detailBlock(t, status.New(status.Internal, "m").WithRawDetails(detail("a", 3), detail("b", 2)))
	msg, details, err := ParseDetail(block)
	if err != nil {
		t.Fatal(err)
	}
	clear(block)
	if msg != "m" || string(details[0].Value) != "xxx" || details[1].Type != "b" {
		t.Error("the result aliases the block")
	}
	_ = append(details[0].Value, "yy"...)
	if string(details[1].Value) != "xx" {
		t.Error("appending to one detail's value changes the next")
	}
}
