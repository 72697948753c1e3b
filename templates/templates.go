// Package templates holds the text that protoc-gen-rpcx generates. A template
// shows the shape of the output; what varies in it is computed by the
// generator's model.
package templates

import "embed"

// Files holds the templates.
//
//go:embed *.tmpl
var Files embed.FS
