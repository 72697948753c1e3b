package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"buf.build/go/protoyaml"
	"google.golang.org/protobuf/encoding/protojson"

	conformancev1 "github.com/rpcx-go/rpcx/conformance/gen"
)

// suiteFiles are where the suites are in the runner's module.
const suiteFiles = "internal/app/connectconformance/testsuites/data/*.yaml"

// neutralSuites writes into a folder what of the suites is about no protocol in
// particular, and returns the files. The runner keeps some for clients or servers
// alone, as the other side is its own then; these are opened for both. Cases that
// say byte for byte what is sent over HTTP are left out.
func neutralSuites(ctx context.Context, dir string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", runnerModule).Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(string(bytes.TrimSpace(out)), filepath.FromSlash(suiteFiles)))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	var written []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if text, err = neutral(text); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if text == nil {
			continue
		}
		name := filepath.Join(dir, filepath.Base(file))
		if err := os.WriteFile(name, text, 0o666); err != nil {
			return nil, err
		}
		written = append(written, name)
	}
	return written, nil
}

// neutral returns what of a suite is about no protocol in particular, or nil.
func neutral(text []byte) ([]byte, error) {
	suite := new(conformancev1.TestSuite)
	if err := protoyaml.Unmarshal(text, suite); err != nil {
		return nil, err
	}
	suite.Mode = conformancev1.TestSuite_TEST_MODE_UNSPECIFIED
	all := suite.TestCases
	suite.TestCases = nil
	for _, c := range all {
		raw, err := isRaw(c.GetRequest())
		if err != nil {
			return nil, err
		}
		if !raw {
			suite.TestCases = append(suite.TestCases, c)
		}
	}
	if len(suite.TestCases) == 0 {
		return nil, nil
	}
	return protojson.Marshal(suite) // which is YAML, too
}

// isRaw reports whether the request or its answer is given as bytes of HTTP.
func isRaw(req *conformancev1.ClientCompatRequest) (bool, error) {
	if req.GetRawRequest() != nil || len(req.GetRequestMessages()) == 0 {
		return req.GetRawRequest() != nil, nil
	}
	msg, err := req.GetRequestMessages()[0].UnmarshalNew()
	if err != nil {
		return false, err
	}
	switch msg := msg.(type) {
	case interface {
		GetResponseDefinition() *conformancev1.UnaryResponseDefinition
	}:
		return msg.GetResponseDefinition().GetRawResponse() != nil, nil
	case interface {
		GetResponseDefinition() *conformancev1.StreamResponseDefinition
	}:
		return msg.GetResponseDefinition().GetRawResponse() != nil, nil
	}
	return false, nil
}
