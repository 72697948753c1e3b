package httpform

import (
	"strings"
	"testing"

	"connectrpc.com/connect/v2"

	"github.com/rpcx-go/rpcx/runtime/call"
)

func TestClass(t *testing.T) {
	for p := range uint8(call.MaxPriority + 1) {
		for l := range uint8(call.MaxLane + 1) {
			for a := range uint8(call.MaxAttempt + 1) {
				want := call.Class{Priority: p, Lane: l, Attempt: a}
				var h connect.Header
				AddClass(&h, want)
				if got, err := ClassOf(&h); got != want || err != nil {
					t.Errorf("got %v, %v; want %v", got, err, want)
				}
				if want == (call.Class{}) && h.Len() != 0 {
					t.Errorf("%d headers of nothing", h.Len())
				}
			}
		}
	}
}

func TestClassOf(t *testing.T) {
	for _, test := range []struct {
		key, value string
		want       call.Class
		bad        string
	}{
		{"rpcx-attempt", "4000000000", call.Class{Attempt: 3}, ""},
		{"rpcx-priority", "7", call.Class{Priority: 7}, ""},
		{"rpcx-priority", "8", call.Class{}, "header Rpcx-Priority: want one number from 0 to 7"},
		{"rpcx-lane", "8", call.Class{}, "header Rpcx-Lane: want one number from 0 to 7"},
		{"rpcx-lane", "-1", call.Class{}, "header Rpcx-Lane"},
		{"rpcx-lane", "", call.Class{}, "header Rpcx-Lane"},
		{"rpcx-attempt", "x", call.Class{}, "header Rpcx-Attempt"},
		{"rpcx-attempt", "5000000000", call.Class{}, "header Rpcx-Attempt"},
	} {
		var h connect.Header
		h.Set(test.key, test.value)
		got, err := ClassOf(&h)
		if got != test.want || (err != nil) != (test.bad != "") || err != nil && !strings.Contains(err.Error(), test.bad) {
			t.Errorf("%s %q: got %v, %v", test.key, test.value, got, err)
		}
	}
	var h connect.Header
	h.Add("rpcx-lane", "1")
	h.Add("rpcx-lane", "1")
	if _, err := ClassOf(&h); err == nil {
		t.Error("two values: no error")
	}
}
