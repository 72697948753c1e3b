// Protoc-gen-rpcx is a plugin for buf and protoc that generates rpcx clients
// and servers. See docs/generator.md, or run it with --help.
package main

import (
	"os"

	"github.com/rpcx-go/rpcx/cmd/protoc-gen-rpcx/internal/plugin"
)

func main() {
	os.Exit(plugin.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
