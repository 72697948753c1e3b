package frame

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func TestSettingsRanges(t *testing.T) {
	for i, d := range settings {
		if int(d.id) != i+1 {
			t.Fatalf("%s has id %d at index %d", d.name, d.id, i)
		}
		for _, c := range []struct {
			v  uint32
			ok bool
		}{
			{d.min, true}, {d.def, true}, {d.max, true},
			{d.min - 1, d.min == 0 && d.max == 1<<32-1}, {d.max + 1, d.max == 1<<32-1 && d.min == 0},
		} {
			s := DefaultSettings()
			*s.value(i) = c.v
			err := s.Validate()
			if (err == nil) != c.ok {
				t.Errorf("%s = %d: error %v", d.name, c.v, err)
			}
			if err != nil && !strings.Contains(err.Error(), d.name) {
				t.Errorf("error %q does not name %s", err, d.name)
			}
		}
	}
}

func TestSettingsRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 1000 {
		s := randomSettings(r)
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		b := AppendSettings([]byte("before"), s)
		h, err := ParseHeader(b[6:])
		if err != nil || h.Validate(64<<10) != nil || int(h.Length) != len(b)-6-HeaderSize {
			t.Fatalf("header %v, %v", &h, err)
		}
		if got, err := ParseSettings(b[6+HeaderSize:]); err != nil || got != s {
			t.Fatalf("wrote %v, read %v, %v", &s, &got, err)
		}
	}
}

func randomSettings(r *rand.Rand) Settings {
	var s Settings
	for i := range settings {
		d := &settings[i]
		v := d.min + uint32(r.Uint64N(uint64(d.max-d.min)+1))
		if d.min == 1 {
			v |= 1
		}
		if r.IntN(3) == 0 {
			v = d.def
		}
		*s.value(i) = v
	}
	return s
}

func TestSettingsMinimum(t *testing.T) {
	least, usual := MinimumSettings(), DefaultSettings()
	for i := range settings {
		if *least.value(i) > *usual.value(i) {
			t.Errorf("%s: the minimum is above the default", settings[i].name)
		}
	}
	if err := least.Validate(); err != nil {
		t.Error(err)
	}
	if !least.AcceptsCodec(0) || least.AcceptsCodec(1) || !least.AcceptsCompression(0) || least.AcceptsCompression(2) {
		t.Error("the minimum is protobuf without compression")
	}
}
