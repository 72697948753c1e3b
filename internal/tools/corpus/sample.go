package main

import (
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

var serviceLine = regexp.MustCompile(`(?m)^service\s+\w+`)

// sampleLimit is the highest number of services in a proto that a sample may
// hold: a few have a hundred and would be most of it.
const sampleLimit = 4

// chooseServices returns protos below dir that have at least the given number
// of services together, or all that have services for 0. The same seed chooses
// the same protos.
func chooseServices(dir string, services int, seed uint64) ([]string, error) {
	count := make(map[string]int)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if n := len(serviceLine.FindAll(content, -1)); n > 0 {
			name, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			count[filepath.ToSlash(name)] = n
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var names []string
	for name := range count {
		names = append(names, name)
	}
	slices.Sort(names)
	if services == 0 {
		return names, nil
	}
	random := rand.New(rand.NewPCG(seed, 0))
	random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	var chosen []string
	for sum := 0; sum < services && len(names) > 0; names = names[1:] {
		if n := count[names[0]]; n <= sampleLimit {
			chosen = append(chosen, names[0])
			sum += n
		}
	}
	return chosen, nil
}
