//go:build protolegacy

package difftest

// Without the tag, protobuf-go does not know the format of MessageSet.
import _ "github.com/rpcx-go/rpcx/testdata/zoo/messageset"
