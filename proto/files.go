// Package proto holds the proto files that users of rpcx import, as text.
package proto

import "embed"

// Files holds them under the paths by which protos import them.
//
//go:embed rpcx/options/v1/*.proto
var Files embed.FS
