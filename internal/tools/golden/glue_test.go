package main

import (
	"testing"

	"github.com/rpcx-go/rpcx/internal/difftest"
	_ "github.com/rpcx-go/rpcx/testdata/gen/edition2024"
	_ "github.com/rpcx-go/rpcx/testdata/gen/fields"
	_ "github.com/rpcx-go/rpcx/testdata/gen/hybrid"
	_ "github.com/rpcx-go/rpcx/testdata/gen/keyword/func"
	_ "github.com/rpcx-go/rpcx/testdata/gen/large"
	_ "github.com/rpcx-go/rpcx/testdata/gen/locals"
	_ "github.com/rpcx-go/rpcx/testdata/gen/methods"
	_ "github.com/rpcx-go/rpcx/testdata/gen/names"
	_ "github.com/rpcx-go/rpcx/testdata/gen/nopackage"
	_ "github.com/rpcx-go/rpcx/testdata/gen/opaque"
	_ "github.com/rpcx-go/rpcx/testdata/gen/proto2"
	_ "github.com/rpcx-go/rpcx/testdata/gen/reach"
	_ "github.com/rpcx-go/rpcx/testdata/gen/reach/unused"
)

// TestGlue has generated glue and protobuf-go marshal and unmarshal random
// messages, and compares.
func TestGlue(t *testing.T) {
	types := difftest.Types("golden.", "NoPackage")
	if len(types) < 30 {
		t.Fatalf("only %d types of messages are linked in", len(types))
	}
	if err := difftest.RoundTrip(types, 20, 1); err != nil {
		t.Error(err)
	}
}
