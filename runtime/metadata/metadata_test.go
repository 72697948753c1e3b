package metadata_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rpcx-go/rpcx/runtime/metadata"
)

func TestAccess(t *testing.T) {
	md := metadata.Pairs("User", "ann", "trace-id", "1", "trace-id", "2")
	if got := md.Get("USER"); got != "ann" {
		t.Errorf("Get(USER) = %q", got)
	}
	if got := md.Get("Trace-Id"); got != "1" {
		t.Errorf("Get gives %q, want the first value", got)
	}
	if got := md.Values("trace-id"); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("Values = %q", got)
	}
	if got, ok := md.Get("absent"), md.Has("absent"); got != "" || ok {
		t.Errorf("absent key: %q, %v", got, ok)
	}
	if got := md.Values("absent"); got != nil {
		t.Errorf("absent key has values %q", got)
	}
	if !md.Has("usER") {
		t.Error("Has(usER) = false")
	}
}

func TestChange(t *testing.T) {
	tests := []struct {
		name   string
		change func(*metadata.MD)
		want   string
	}{
		{"add", func(md *metadata.MD) { md.Add("B", "4") }, "a=1 b=2 a=3 b=4"},
		{"set", func(md *metadata.MD) { md.Set("A", "4", "5") }, "b=2 a=4 a=5"},
		{"set a new key", func(md *metadata.MD) { md.Set("c", "4") }, "a=1 b=2 a=3 c=4"},
		{"set nothing", func(md *metadata.MD) { md.Set("a") }, "b=2"},
		{"delete", func(md *metadata.MD) { md.Del("A") }, "b=2"},
		{"delete the last", func(md *metadata.MD) { md.Del("b"); md.Del("a") }, ""},
		{"delete an absent key", func(md *metadata.MD) { md.Del("c") }, "a=1 b=2 a=3"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			shared := metadata.Pairs("a", "1", "b", "2", "a", "3").Clone()
			md := shared
			test.change(&md)
			if got := text(md); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if got := text(shared); got != "a=1 b=2 a=3" {
				t.Errorf("the MD that shared its memory became %q", got)
			}
		})
	}
	var empty metadata.MD
	empty.Set("k", "v")
	if got := text(empty); got != "k=v" {
		t.Errorf("Set on a nil MD gives %q", got)
	}
}

func TestCopies(t *testing.T) {
	a, b := metadata.Pairs("a", "1"), metadata.Pairs("b", "2")
	joined, cloned := metadata.Join(a, nil, b), a.Clone()
	a[0].Value, b[0].Value = "x", "x"
	if got := text(joined); got != "a=1 b=2" {
		t.Errorf("Join gives %q", got)
	}
	if got := text(cloned); got != "a=1" {
		t.Errorf("Clone gives %q", got)
	}
	if metadata.MD(nil).Clone() != nil || metadata.Join() != nil {
		t.Error("copies of nothing are not nil")
	}
}

func TestPairsPanicsOnOddCount(t *testing.T) {
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, "lonely") {
			t.Errorf("panic says %q, want it to name the key", got)
		}
	}()
	metadata.Pairs([]string{"a", "1", "lonely"}...)
}

func TestSize(t *testing.T) {
	for _, md := range []metadata.MD{
		nil,
		metadata.Pairs("", ""),
		metadata.Pairs("key", "value", "other", ""),
		metadata.Pairs("k", strings.Repeat("v", 127)),
		metadata.Pairs("k", strings.Repeat("v", 128)),
		metadata.Pairs(strings.Repeat("k", 16383), strings.Repeat("v", 16384)),
	} {
		if got, want := md.Size(), encodedSize(md); got != want {
			t.Errorf("Size of %d entries is %d, want %d", len(md), got, want)
		}
	}
}

// encodedSize is the slow and certain way to know Size.
func encodedSize(md metadata.MD) int {
	var b []byte
	for _, p := range md {
		b = binary.AppendUvarint(b, uint64(len(p.Key)))
		b = append(b, p.Key...)
		b = binary.AppendUvarint(b, uint64(len(p.Value)))
		b = append(b, p.Value...)
	}
	return len(b)
}

func TestStripReserved(t *testing.T) {
	md := metadata.Pairs("rpcx-lane", "1", "a", "1", "rpcx-", "2", "rpcxa", "3")
	if got := text(metadata.StripReserved(md)); got != "a=1 rpcxa=3" {
		t.Errorf("got %q", got)
	}
	if len(md) != 4 || md[1].Value != "1" {
		t.Errorf("the original became %q", text(md))
	}
	clean := metadata.Pairs("a", "1")
	if n := testing.AllocsPerRun(10, func() { metadata.StripReserved(clean) }); n != 0 {
		t.Errorf("stripping nothing allocates %v times", n)
	}
}

func TestValidate(t *testing.T) {
	entries := func(n int) metadata.MD {
		var md metadata.MD
		for i := range n {
			md.Add(fmt.Sprintf("key-%d", i), "")
		}
		return md
	}
	long := strings.Repeat("k", 1000)
	tests := []struct {
		name  string
		md    metadata.MD
		is    error
		names []string // what the error must say
	}{
		{"nil", nil, nil, nil},
		{"plain", metadata.Pairs("a-z_0.9", "any text, ünïcode too\t"), nil, nil},
		{"binary", metadata.Pairs("trace-bin", "\x00\r\n\xff"), nil, nil},
		{"most entries", entries(metadata.MaxEntries), nil, nil},
		{"too many entries", entries(metadata.MaxEntries + 1), metadata.ErrTooLarge, []string{"65", "key-64", "64"}},
		{"most bytes", metadata.MD{{"k", strings.Repeat("v", metadata.DefaultMaxBytes-4)}}, nil, nil},
		{"too many bytes", metadata.MD{{"a", "b"}, {"k", strings.Repeat("v", metadata.DefaultMaxBytes-4)}}, metadata.ErrTooLarge, []string{`"k"`, "8192"}},
		{"empty key", metadata.MD{{"", "v"}}, metadata.ErrInvalid, []string{`""`}},
		{"upper case", metadata.MD{{"Key", "v"}}, metadata.ErrInvalid, []string{`"Key"`}},
		{"space in key", metadata.MD{{"a b", "v"}}, metadata.ErrInvalid, []string{`"a b"`}},
		{"no ASCII", metadata.MD{{"ké", "v"}}, metadata.ErrInvalid, []string{`"ké"`}},
		{"long key", metadata.MD{{long + "!", "v"}}, metadata.ErrInvalid, []string{long[:64] + `"…`}},
		{"reserved", metadata.MD{{"rpcx-lane", "v"}}, metadata.ErrInvalid, []string{`"rpcx-lane"`, "reserved"}},
		{"CR", metadata.MD{{"k", "secret\r"}}, metadata.ErrInvalid, []string{`"k"`}},
		{"LF", metadata.MD{{"k", "secret\n"}}, metadata.ErrInvalid, []string{`"k"`}},
		{"NUL", metadata.MD{{"k", "secret\x00"}}, metadata.ErrInvalid, []string{`"k"`}},
		{"-bin in the middle", metadata.MD{{"k-bin-x", "secret\x00"}}, metadata.ErrInvalid, []string{`"k-bin-x"`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := metadata.Validate(test.md, metadata.DefaultMaxBytes)
			if !errors.Is(err, test.is) {
				t.Fatalf("got %v, want %v", err, test.is)
			}
			for _, s := range test.names {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q does not say %s", err, s)
				}
			}
			if err != nil && (strings.Contains(err.Error(), "secret") || len(err.Error()) > 300) {
				t.Errorf("the error shows a value, or is too long: %q", err)
			}
		})
	}
}

func TestValidateDoesNotAllocate(t *testing.T) {
	md := metadata.Pairs("user", "ann", "trace-bin", "\x00\x01")
	if n := testing.AllocsPerRun(100, func() {
		if err := metadata.Validate(md, metadata.DefaultMaxBytes); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("Validate allocates %v times", n)
	}
}

func FuzzValidate(f *testing.F) {
	f.Add("user", "ann", "trace-bin", "\x00", 8192)
	f.Add("", "\r", "rpcx-x", "y", 3)
	f.Add("k", "v", "K", "v", 8)
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2 string, maxBytes int) {
		md := metadata.MD{{k1, v1}, {k2, v2}}
		err := metadata.Validate(md, maxBytes)
		if want := wellFormed(md, maxBytes); (err == nil) != want {
			t.Errorf("Validate(%q, %d) = %v, want valid: %v", md, maxBytes, err, want)
		}
		if err != nil && !errors.Is(err, metadata.ErrInvalid) && !errors.Is(err, metadata.ErrTooLarge) {
			t.Errorf("the error wraps neither of the two: %v", err)
		}
		if got := md.Size(); got != encodedSize(md) {
			t.Errorf("Size = %d, want %d", got, encodedSize(md))
		}
		// What Validate lets through can be looked up, and nothing is stripped from it.
		if err == nil && (md.Get(strings.ToUpper(k1)) != v1 || len(metadata.StripReserved(md)) != 2) {
			t.Errorf("valid metadata %q is changed", md)
		}
	})
}

// wellFormed states Validate's rules without regard to speed.
func wellFormed(md metadata.MD, maxBytes int) bool {
	for _, p := range md {
		const letters = "abcdefghijklmnopqrstuvwxyz0123456789-_."
		if p.Key == "" || strings.Trim(p.Key, letters) != "" || strings.HasPrefix(p.Key, "rpcx-") {
			return false
		}
		for i := range len(p.Key) {
			if !strings.Contains(letters, p.Key[i:i+1]) {
				return false
			}
		}
		if !strings.HasSuffix(p.Key, "-bin") && strings.ContainsAny(p.Value, "\r\n\x00") {
			return false
		}
	}
	return encodedSize(md) <= maxBytes
}

// text shows md as "key=value" words.
func text(md metadata.MD) string {
	var words []string
	for _, p := range md {
		words = append(words, p.Key+"="+p.Value)
	}
	return strings.Join(words, " ")
}

func TestLimitsAreTheProtocols(t *testing.T) {
	got := fmt.Sprintf("%d %d %s %s", metadata.MaxEntries, metadata.DefaultMaxBytes, metadata.ReservedPrefix, metadata.BinarySuffix)
	if got != "64 8192 rpcx- -bin" {
		t.Error(got)
	}
}
