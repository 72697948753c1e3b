package call

import (
	"math"
	"strconv"
	"testing"
)

func TestKey(t *testing.T) {
	for _, test := range []struct {
		name   string
		key    Key
		text   string
		number uint64
		isNum  bool
	}{
		{"text", TextKey("ann"), "ann", 0, false},
		{"empty text", TextKey(""), "", 0, false},
		{"digits", TextKey("42"), "42", 42, true},
		{"bytes", BytesKey([]byte{'x', 0, 0xff}), "x\x00\xff", 0, false},
		{"no bytes", BytesKey(nil), "", 0, false},
		{"int", IntKey(42), "42", 42, true},
		{"negative", IntKey(math.MinInt64), "-9223372036854775808", 1 << 63, false},
		{"uint", UintKey(math.MaxUint64), "18446744073709551615", math.MaxUint64, true},
		{"too large a text", TextKey("18446744073709551616"), "18446744073709551616", 0, false},
	} {
		if got := test.key.String(); got != test.text {
			t.Errorf("%s: text %q, want %q", test.name, got, test.text)
		}
		if n, ok := test.key.Number(); ok != test.isNum || ok && n != test.number {
			t.Errorf("%s: number %d, %v", test.name, n, ok)
		}
		if !test.key.Present() {
			t.Errorf("%s: absent", test.name)
		}
		if test.key.Hash() != TextKey(test.text).Hash() {
			t.Errorf("%s: does not hash like its text", test.name)
		}
	}
	if (Key{}).Present() {
		t.Error("the zero key is present")
	}
	// What the specification of xxHash gives for these texts with seed 0.
	for text, want := range map[string]uint64{"": 0xef46db3751d8e999, "abc": 0x44bc2cf5ad770999} {
		if got := TextKey(text).Hash(); got != want {
			t.Errorf("hash of %q is %#x, want %#x", text, got, want)
		}
	}
	var hashed uint64
	isNumber := false
	key, name := IntKey(-1234567890123), TextKey("ann")
	if n := testing.AllocsPerRun(100, func() { hashed = key.Hash(); _, isNumber = name.Number() }); n != 0 || isNumber {
		t.Errorf("hashing and looking for a number allocate %v times, %x", n, hashed)
	}
	for _, key := range []Key{name, TextKey("42"), IntKey(42), {}} {
		want, isText := "ann", key == name
		if key == TextKey("42") {
			want, isText = "42", true
		}
		if text, ok := key.Text(); ok != isText || ok && text != want {
			t.Errorf("key %v: text %q, %v", key, text, ok)
		}
	}
}

func TestDigits(t *testing.T) {
	for _, text := range []string{"", "0", "007", "18446744073709551615", "18446744073709551616", "18446744073709551620",
		"99999999999999999999", "184467440737095516150", "1_0", "+1", "-1", " 1", "1 ", "1e3", "0x1", "/", ":", "\xb1"} {
		want, err := strconv.ParseUint(text, 10, 64)
		if n, ok := parseDigits(text); ok != (err == nil) || ok && n != want {
			t.Errorf("%q: got %d, %v; want %d, %v", text, n, ok, want, err)
		}
	}
}
