package address

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/rpcx-go/rpcx/runtime/internal/leaktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(leaktest.Buffers(m)) }

func TestParse(t *testing.T) {
	for target, want := range map[string]ID{
		"localhost:7000":       {Network: "tcp", Addr: "localhost:7000"},
		"tcp://localhost:7000": {Network: "tcp", Addr: "localhost:7000"},
		":7000":                {Network: "tcp", Addr: ":7000"},
		"[::1]:7000":           {Network: "tcp", Addr: "[::1]:7000"},
		"host:http":            {Network: "tcp", Addr: "host:http"},
		"unix:///run/x.sock":   {Network: "unix", Addr: "/run/x.sock"},
		"unix://x.sock":        {Network: "unix", Addr: "x.sock"},
	} {
		got, err := Parse(target)
		if err != nil || got.ID() != want {
			t.Errorf("%q: got %v, %v; want %v", target, got, err, want)
			continue
		}
		if again, err := Parse(got.String()); err != nil || again.ID() != got.ID() {
			t.Errorf("%q: its string %q means %v, %v", target, got, again, err)
		}
	}
	for _, target := range []string{"", "localhost", "tcp://", "::1:7000:", "unix://", "etcd://x", "tcp://a:b:c", "://x:1"} {
		if got, err := Parse(target); err == nil || !strings.Contains(err.Error(), "\""+target+"\"") {
			t.Errorf("%q: got %v, %v; want an error that quotes it", target, got, err)
		}
	}
}
