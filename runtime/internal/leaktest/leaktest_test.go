package leaktest

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/rpcx-go/rpcx/runtime/internal/pool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(Buffers(m)) }

// tests are tests that do something with buffers and end with a status.
type tests func() int

func (f tests) Run() int { return f() }

func TestBuffers(t *testing.T) {
	for name, test := range map[string]struct {
		run  tests
		undo func()
		want int
		log  string
	}{
		"all given back":     {func() int { pool.Took(); pool.Gave(); return 0 }, func() {}, 0, ""},
		"given back late":    {func() int { pool.Took(); go pool.Gave(); return 0 }, func() {}, 0, ""},
		"one is missing":     {func() int { pool.Took(); return 0 }, pool.Gave, 1, "1 buffers have not been given back"},
		"one too many":       {func() int { pool.Gave(); return 0 }, pool.Took, 1, "-1 buffers"},
		"the tests fail":     {func() int { return 2 }, func() {}, 2, ""},
		"they fail and leak": {func() int { pool.Took(); return 2 }, pool.Gave, 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			c := Buffers(test.run).(*counted)
			c.log = &log
			if test.want == 1 {
				c.patience = 0
			}
			if got := c.Run(); got != test.want || !strings.Contains(log.String(), test.log) || test.log == "" && log.Len() > 0 {
				t.Errorf("exit status %d, log %q, want %d, %q", got, &log, test.want, test.log)
			}
			test.undo()
		})
	}
}
