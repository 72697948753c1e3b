package main

import (
	"fmt"
	"os"
	"testing"

	"github.com/rpcx-go/rpcx/bench/child"
)

// TestMain lets the test's program be the children that it starts: one that ran the
// tests instead would start more of itself without end.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == child.Argument {
		if err := child.Run(os.Args[2], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}
