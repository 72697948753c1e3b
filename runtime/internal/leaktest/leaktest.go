// Package leaktest has the tests of a package fail if they leave buffers behind.
// Each package of the runtime uses it beside goleak, which looks for goroutines:
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(leaktest.Buffers(m)) }
package leaktest

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/pool"
)

// patience is how long goroutines that are on their end may take to give back
// what they hold.
const patience = 5 * time.Second

// Tests are those of a package: a *testing.M.
type Tests interface{ Run() int }

// Buffers returns tests which do what m does and then fail unless every buffer
// that was taken from a pool has been given back.
func Buffers(m Tests) Tests { return &counted{m, pool.Count(), os.Stderr, patience} }

type counted struct {
	Tests
	outstanding func() int64
	log         io.Writer
	patience    time.Duration
}

// Run implements Tests. It returns the exit status of the test process.
func (c *counted) Run() int {
	code := c.Tests.Run()
	if code != 0 {
		return code // tests that fail leave things behind
	}
	for late := time.Now().Add(c.patience); c.outstanding() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			fmt.Fprintf(c.log, "leaktest: %d buffers have not been given back (if negative, were given back twice)\n", c.outstanding())
			return 1
		}
	}
	return 0
}
