package workload

import (
	"bytes"
	"testing"
)

func TestParseCell(t *testing.T) {
	for _, text := range []string{"unary/128/64", "sstream/128/1", "bidi/0/16", "unary/1048576/1", "mixed/128/16", "idle/128/10000"} {
		cell, err := ParseCell(text)
		if err != nil || cell.String() != text {
			t.Errorf("ParseCell(%q) = %v, %v", text, cell, err)
		}
	}
	for _, text := range []string{"", "unary", "unary/128", "unary/128/64/1", "calls/128/1", "unary/x/1", "unary/-1/1", "unary/1/0"} {
		if cell, err := ParseCell(text); err == nil {
			t.Errorf("ParseCell(%q) = %v, want an error", text, cell)
		}
	}
}

func TestMessagesPerCall(t *testing.T) {
	for cell, want := range map[Cell]int{
		{Unary, 128, 1}:             1,
		{ServerStream, 0, 1}:        10_000,
		{ServerStream, 128, 1}:      10_000,
		{Bidi, 64 << 10, 1}:         128,
		{Bidi, 1 << 20, 1}:          16,
		{ServerStream, 4 << 20, 16}: 16,
		{Mixed, 128, 16}:            1,
	} {
		if got := cell.MessagesPerCall(); got != want {
			t.Errorf("%v: %d messages a call, want %d", cell, got, want)
		}
	}
}

func TestPayloadIsAPrefix(t *testing.T) {
	short := Payload(10)
	if long := Payload(1000); !bytes.Equal(short, long[:10]) {
		t.Errorf("Payload(10) = %x, Payload(1000) begins with %x", short, long[:10])
	}
}
