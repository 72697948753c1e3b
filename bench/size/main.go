// Size builds the smallest client and the smallest server of each peer and prints
// how large they are, without symbols.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// programs are folders below programs, and what they are.
var programs = []struct{ folder, what string }{
	{"rpcxclient", "rpcx client"},
	{"rpcxhttpclient", "rpcx client, also of gRPC servers"},
	{"grpcclient", "grpc-go client"},
	{"connectclient", "connect-go client"},
	{"rpcxserver", "rpcx server"},
	{"rpcxhttpserver", "rpcx server with HTTP"},
	{"grpcserver", "grpc-go server"},
	{"connectserver", "connect-go server"},
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "size:", err)
		os.Exit(1)
	}
}

func run() error {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	sizes := map[string]float64{}
	for _, p := range programs {
		file := filepath.Join(dir, p.folder)
		build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", file, "./size/programs/"+p.folder)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", p.folder, err, out)
		}
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		sizes[p.folder] = float64(info.Size()) / 1e6
		fmt.Printf("%-36s %6.2f MB\n", p.what, sizes[p.folder])
	}
	fmt.Printf("bench-size: client=%.2f grpc=%.2f connect=%.2f server=%.2f http=%.2f grpc=%.2f connect=%.2f MB\n",
		sizes["rpcxclient"], sizes["grpcclient"], sizes["connectclient"],
		sizes["rpcxserver"], sizes["rpcxhttpserver"], sizes["grpcserver"], sizes["connectserver"])
	return nil
}
