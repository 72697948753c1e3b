package plugin

import (
	"bytes"
	"errors"
	"flag"
	"go/format"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

var update = flag.Bool("update", false, "write the golden files in testdata/gen instead of comparing with them")

const goldenDir = "../../../../testdata/gen"

// TestGolden generates the packages in testdata/gen and compares them with the
// committed ones. That those compile is checked by go vet.
func TestGolden(t *testing.T) {
	entries, err := os.ReadDir(goldenDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		t.Run(entry.Name(), func(t *testing.T) {
			dir := filepath.Join(goldenDir, entry.Name())
			got := respond(t, goldenRequest(t, dir))
			if *update {
				writeGolden(t, dir, got)
			}
			want := readGolden(t, dir)
			if len(want) == 0 {
				t.Fatalf("no golden files in %s: run the test with -update", dir)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("generated files differ from committed ones (-want +got):\n%s", diff)
			}
			for name, content := range got {
				formatted, err := format.Source([]byte(content))
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if diff := cmp.Diff(string(formatted), content); diff != "" {
					t.Errorf("%s is not formatted (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

// TestOrder checks that the order of the files in a request changes nothing,
// and that neither does it to generate files one by one.
func TestOrder(t *testing.T) {
	for _, name := range []string{"onename", "names", "deprecated", "locals"} {
		t.Run(name, func(t *testing.T) {
			req := goldenRequest(t, filepath.Join(goldenDir, name))
			want := respond(t, req)
			slices.Reverse(req.FileToGenerate)
			if diff := cmp.Diff(want, respond(t, req)); diff != "" {
				t.Errorf("files to generate reversed (-want +got):\n%s", diff)
			}
			single := make(map[string]string)
			for _, file := range req.FileToGenerate {
				one := proto.CloneOf(req)
				one.FileToGenerate = []string{file}
				for name, content := range respond(t, one) {
					single[name] = content
				}
			}
			// The two files of onename do not import each other, so each one
			// alone cannot know of the other's service.
			if diff := cmp.Diff(want, single); diff != "" && name != "onename" {
				t.Errorf("files generated one by one (-want +got):\n%s", diff)
			}
		})
	}
}

// goldenRequest returns the request for all protos of a golden package.
func goldenRequest(t *testing.T, dir string) *pluginpb.CodeGeneratorRequest {
	t.Helper()
	image, err := os.ReadFile(filepath.Join(dir, "image.binpb"))
	if err != nil {
		t.Fatal(err)
	}
	set := new(descriptorpb.FileDescriptorSet)
	if err := proto.Unmarshal(image, set); err != nil {
		t.Fatal(err)
	}
	req := &pluginpb.CodeGeneratorRequest{ProtoFile: set.File}
	for _, file := range set.File {
		if _, err := os.Stat(filepath.Join(dir, file.GetName())); err == nil {
			req.FileToGenerate = append(req.FileToGenerate, file.GetName())
		}
	}
	parameter, err := os.ReadFile(filepath.Join(dir, "params.txt"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	req.Parameter = proto.String("paths=source_relative," + strings.TrimSpace(string(parameter)))
	return req
}

// respond returns the content of the generated files by name. It passes the
// request and the response through their encoding, as a plugin's are.
func respond(t *testing.T, req *pluginpb.CodeGeneratorRequest) map[string]string {
	t.Helper()
	in, err := proto.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if status := Main(nil, bytes.NewReader(in), &stdout, &stderr); status != 0 {
		t.Fatalf("status %d: %s", status, stderr.String())
	}
	resp := new(pluginpb.CodeGeneratorResponse)
	if err := proto.Unmarshal(stdout.Bytes(), resp); err != nil {
		t.Fatal(err)
	}
	if resp.Error != nil {
		t.Fatal(resp.GetError())
	}
	files := make(map[string]string)
	for _, file := range resp.File {
		if _, ok := files[file.GetName()]; ok {
			t.Errorf("%s is generated twice", file.GetName())
		}
		files[file.GetName()] = file.GetContent()
	}
	return files
}

// readGolden returns the content of the stubs, glue and fakes below dir by name.
func readGolden(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".rpcx.go") && !strings.HasSuffix(path, "_rpcx.pb.go") {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// writeGolden replaces the stubs, glue and fakes below dir.
func writeGolden(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name := range readGolden(t, dir) {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}
