package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The sizes of the largest messages and services that other generators have
// been reported to break on.
const (
	largeFields  = 1000
	largeMethods = 156
)

// writeLarge writes the proto of the folder large; other folders have theirs.
func writeLarge(folder string) error {
	if filepath.Base(folder) != "large" {
		return nil
	}
	var b strings.Builder
	b.WriteString(`// A message with many fields and a service with many methods.
syntax = "proto3";

package golden.large;

option go_package = "github.com/rpcx-go/rpcx/testdata/gen/large";

message Large {
`)
	types := []string{"int32", "string", "bytes", "bool", "double", "Large", "repeated string"}
	for i := 1; i <= largeFields; i++ {
		fmt.Fprintf(&b, "  %s field_%d = %d;\n", types[i%len(types)], i, i)
	}
	b.WriteString("}\n\nservice Large156 {\n")
	for i := 1; i <= largeMethods; i++ {
		stream := [...]string{"", "stream "}
		fmt.Fprintf(&b, "  rpc Method%d(%sLarge) returns (%sLarge);\n", i, stream[i/2%2], stream[i%2])
	}
	b.WriteString("}\n")
	return os.WriteFile(filepath.Join(folder, "large.proto"), []byte(b.String()), 0o666)
}
