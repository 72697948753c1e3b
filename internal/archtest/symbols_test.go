package archtest

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestSymbols looks into the binary of a native client: what it does not use is
// not there.
func TestSymbols(t *testing.T) {
	file := filepath.Join(t.TempDir(), "client")
	goTool(t, "build", "-o", file, "./internal/archtest/testdata/nativeclient")
	symbols := string(goTool(t, "tool", "nm", file))
	if !strings.Contains(symbols, "runtime/rpcx.(*Conn).CallUnary") {
		t.Fatal("the names of functions are not what this test takes them for")
	}
	for _, pkg := range []string{
		"net/http", "connectrpc.com/connect/v2", "text/template",
		"google.golang.org/protobuf/encoding/protojson", "google.golang.org/protobuf/types/dynamicpb",
		module + "/runtime/internal/gateway", module + "/runtime/rpcxhttp",
	} {
		for line := range strings.Lines(symbols) {
			if strings.Contains(line, " "+pkg+".") || strings.Contains(line, " "+pkg+"/") {
				t.Errorf("a native client links %s: %s", pkg, line)
				break
			}
		}
	}
}
