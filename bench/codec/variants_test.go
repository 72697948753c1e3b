package main

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
)

// TestVariants checks that whatever is timed does the same work.
func TestVariants(t *testing.T) {
	for _, s := range allShapes() {
		for _, v := range s.variants {
			t.Run(s.name+"/"+v.op+"/"+v.name, func(t *testing.T) {
				m, data, err := v.result()
				if err != nil {
					t.Fatal(err)
				}
				if v.op != opUnmarshal {
					if len(data) != len(s.data) {
						t.Errorf("marshalled into %d bytes, want %d", len(data), len(s.data))
					}
					m = s.message.ProtoReflect().New().Interface()
					if err := proto.Unmarshal(data, m); err != nil {
						t.Fatal(err)
					}
				}
				if !proto.Equal(m, s.message) {
					t.Errorf("the message is another one: %v", m)
				}
				if len(m.ProtoReflect().GetUnknown()) > 0 {
					t.Error("fields were taken for unknown ones")
				}
				if err := v.run(2); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestCopies checks that only the variants that may do so refer to the data
// that they were unmarshalled from.
func TestCopies(t *testing.T) {
	for _, s := range allShapes() {
		for _, v := range s.variants {
			if v.op != opUnmarshal || v.name == rpcx || v.name == vtUnsafe {
				continue
			}
			m, _, err := v.result()
			if err != nil {
				t.Fatal(err)
			}
			saved := slices.Clone(s.data)
			clear(s.data)
			if !proto.Equal(m, s.message) {
				t.Errorf("%s by %s refers to the data", s.name, v.name)
			}
			copy(s.data, saved)
		}
	}
}

// TestSizes checks that the shapes have the sizes that their descriptions say.
func TestSizes(t *testing.T) {
	between := map[string][2]int{
		"small":   {30, 100},
		"nested":  {1500, 2500},
		"strings": {9000, 11500},
		"unicode": {9000, 11500},
		"packed":  {9000, 11500},
	}
	for _, s := range allShapes() {
		if want, ok := between[s.name]; ok && (len(s.data) < want[0] || len(s.data) > want[1]) {
			t.Errorf("%s has %d bytes, want %d to %d", s.name, len(s.data), want[0], want[1])
		}
		t.Logf("%s: %d bytes", s.name, len(s.data))
	}
}

func TestChooseShapes(t *testing.T) {
	chosen, err := chooseShapes("many,small")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range chosen {
		names = append(names, s.name)
	}
	if want := []string{"many", "small"}; !slices.Equal(names, want) {
		t.Errorf("shapes %v, want %v", names, want)
	}
	if _, err := chooseShapes("small,smal"); err == nil {
		t.Error("a shape that does not exist is accepted")
	}
}
