package plugin

import (
	"fmt"
	"io"
	"strings"
)

const usage = `protoc-gen-rpcx generates rpcx clients and servers, and code that serializes
their messages. buf and protoc run it:

	# buf.gen.yaml
	version: v2
	plugins:
	  - local: protoc-gen-go
	    out: gen
	    opt: paths=source_relative
	  - local: protoc-gen-rpcx
	    out: gen
	    opt: paths=source_relative

	protoc --rpcx_out=gen --rpcx_opt=paths=source_relative users/v1/users.proto

By hand:

	protoc-gen-rpcx export [-force] DIR
		write rpcx/options/v1/options.proto, the proto with rpcx's own
		options, into DIR; -force replaces a file that differs
	protoc-gen-rpcx --version
	protoc-gen-rpcx --help

Parameters:
`

func writeHelp(w io.Writer) error {
	var b strings.Builder
	b.WriteString(usage)
	for _, k := range known {
		help := strings.ReplaceAll(k.help, "\n", "\n\t\t")
		fmt.Fprintf(&b, "\n\t%s=%s\n\t\t%s\n", k.title(), k.value, help)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
