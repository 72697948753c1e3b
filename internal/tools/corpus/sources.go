package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// The corpus is pinned, so that a failure is due to a change here.
const (
	googleProtos = "google-proto-files@5.0.3"
	etcdModule   = "go.etcd.io/etcd/api/v3@v3.7.3"
	gateway      = "github.com/grpc-ecosystem/grpc-gateway/v2@v2.32.0"
	protobufGo   = "google.golang.org/protobuf"
)

// protobufSource is the name of the source with protobuf-go's own protos.
const protobufSource = "protobuf"

// source is a tree of protos.
type source struct {
	name string
	dirs []string // the roots of the tree, for imports
	// own is the folder among dirs whose protos are generated; the others are
	// there for their imports.
	own string
	// only, if not nil, are the protos in own that are generated.
	only []string
	// synthetic has protos without services get one that uses their messages.
	synthetic bool
}

// fetch installs what the corpus is made of and returns its parts.
func fetch(c config) ([]*source, error) {
	google, err := fetchGoogle(c)
	if err != nil {
		return nil, err
	}
	protobuf, err := copyProtobuf(c)
	if err != nil {
		return nil, err
	}
	etcd, err := copyEtcd(c, google.own)
	if err != nil {
		return nil, err
	}
	all := []*source{protobuf, etcd, google}
	if c.only != "" {
		all = slices.DeleteFunc(all, func(s *source) bool { return s.name != c.only })
	}
	return all, nil
}

// fetchGoogle installs google-proto-files and chooses from it.
func fetchGoogle(c config) (*source, error) {
	dir, err := installGoogle(c)
	if err != nil {
		return nil, err
	}
	own := filepath.Join(c.run, "src/google")
	for _, sub := range []string{"google", "grafeas"} {
		if err := copyProtos(filepath.Join(dir, sub), filepath.Join(own, sub), nil); err != nil {
			return nil, err
		}
	}
	s := &source{name: "google", dirs: []string{own}, own: own}
	s.only, err = chooseServices(own, c.services, c.seed)
	return s, err
}

// installGoogle returns the folder of the npm package, which is installed once.
func installGoogle(c config) (string, error) {
	const dir = "node_modules/google-proto-files"
	installed := filepath.Join(c.work, "npm")
	if _, err := os.Stat(filepath.Join(installed, dir)); err == nil {
		return filepath.Join(installed, dir), nil
	}
	prefix := filepath.Join(c.run, "npm")
	if err := os.MkdirAll(prefix, 0o777); err != nil {
		return "", err
	}
	_, err := command("npm", "install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", prefix, googleProtos)
	if err != nil {
		return "", err
	}
	if err := os.Rename(prefix, installed); err != nil {
		return filepath.Join(prefix, dir), nil // another run was faster
	}
	return filepath.Join(installed, dir), nil
}

// copyProtobuf takes the protos with which protobuf-go tests its generator.
func copyProtobuf(c config) (*source, error) {
	out, err := command("go", "list", "-m", "-f", "{{.Dir}}", protobufGo)
	if err != nil {
		return nil, err
	}
	module := strings.TrimSpace(string(out))
	own := filepath.Join(c.run, "src/protobuf")
	for _, dir := range []string{"cmd/protoc-gen-go/testdata", "internal/testprotos"} {
		err := copyProtos(filepath.Join(module, dir), filepath.Join(own, dir), func(name string) string {
			if name == "test3/test_extension.proto" {
				return "" // its extensions have the numbers of others
			}
			return name
		})
		if err != nil {
			return nil, err
		}
	}
	// It is imported as google/protobuf/go_features.proto.
	features := filepath.Join(c.run, "src/features")
	if err := copyProtos(filepath.Join(module, "src"), features, nil); err != nil {
		return nil, err
	}
	return &source{name: protobufSource, dirs: []string{own, features}, own: own, synthetic: true}, nil
}

// copyEtcd takes the protos of etcd's API. Those in etcdserverpb import each
// other without a folder.
func copyEtcd(c config, google string) (*source, error) {
	etcd, err := download(etcdModule)
	if err != nil {
		return nil, err
	}
	own := filepath.Join(c.run, "src/etcd")
	err = copyProtos(etcd, own, func(name string) string {
		if base, ok := strings.CutPrefix(name, "etcdserverpb/"); ok {
			return base
		}
		return "etcd/api/" + name
	})
	if err != nil {
		return nil, err
	}
	openAPI, err := download(gateway)
	if err != nil {
		return nil, err
	}
	imports := filepath.Join(c.run, "src/etcd-imports")
	for _, dir := range []string{"protoc-gen-openapiv2/options"} {
		if err := copyProtos(filepath.Join(openAPI, dir), filepath.Join(imports, dir), nil); err != nil {
			return nil, err
		}
	}
	if err := copyProtos(filepath.Join(google, "google/api"), filepath.Join(imports, "google/api"), onlyTop); err != nil {
		return nil, err
	}
	return &source{name: "etcd", dirs: []string{own, imports}, own: own}, nil
}

// onlyTop leaves out protos in subfolders.
func onlyTop(name string) string {
	if strings.Contains(name, "/") {
		return ""
	}
	return name
}

// download has the go command download a module, and returns its folder.
func download(module string) (string, error) {
	out, err := command("go", "mod", "download", "-json", module)
	if err != nil {
		return "", err
	}
	var info struct{ Dir, Error string }
	if err := json.Unmarshal(out, &info); err != nil {
		return "", err
	}
	if info.Error != "" {
		return "", errors.New(info.Error)
	}
	return info.Dir, nil
}

// copyProtos copies the protos below from to the folder to, under the names
// that rename gives them; it leaves out those that it gives none.
func copyProtos(from, to string, rename func(string) string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".proto" {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if rename != nil {
			name = rename(name)
		}
		if name == "" {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(target), 0o777); err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o666)
	})
}

// command runs a command and returns its standard output.
func command(name string, args ...string) ([]byte, error) {
	return run1(exec.Command(name, args...))
}

// run1 runs a command and returns its standard output; the error has its
// standard error.
func run1(cmd *exec.Cmd) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args[:min(3, len(cmd.Args))], " "), err, stderr.Bytes())
	}
	return stdout.Bytes(), nil
}
