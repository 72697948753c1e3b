package plugin

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	protos "github.com/rpcx-go/rpcx/proto"
)

// export writes the protos that users import into a folder of theirs. It checks
// all files before it writes the first.
func export(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("export", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	force := flags.Bool("force", false, "")
	if err := flags.Parse(args); err != nil {
		return usageError(fmt.Sprintf("export: %v; see %s --help", err, name))
	}
	if flags.NArg() != 1 {
		return usageError(fmt.Sprintf("export wants one folder: %s export [-force] DIR", name))
	}
	dir := flags.Arg(0)
	missing := make(map[string][]byte)
	err := fs.WalkDir(protos.Files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(protos.Files, path)
		if err != nil {
			return err
		}
		target := filepath.Join(dir, filepath.FromSlash(path))
		present, err := os.ReadFile(target)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return fmt.Errorf("export: %w", err)
		case bytes.Equal(present, content):
			return nil
		case !*force:
			return fmt.Errorf("export: %s is there already and differs: move it away, or replace it with -force", target)
		}
		missing[target] = content
		return nil
	})
	if err != nil {
		return err
	}
	for target, content := range missing {
		if err := os.MkdirAll(filepath.Dir(target), 0o777); err != nil {
			return fmt.Errorf("export: %w", err)
		}
		if err := os.WriteFile(target, content, 0o666); err != nil {
			return fmt.Errorf("export: %w", err)
		}
		fmt.Fprintln(stdout, "wrote", target)
	}
	return nil
}
