// Package vectors reads the wire vectors of testdata/wire, for tests. The
// README there describes the files.
package vectors

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Dir tells who sent some bytes.
type Dir byte

// The directions.
const (
	Client Dir = 'C' // client to server
	Server Dir = 'S' // server to client
)

// Unit is one preface or one frame, possibly broken.
type Unit struct {
	Dir   Dir
	Bytes []byte
}

// Start says where on a connection a vector's units stand.
type Start string

// The places.
const (
	Preface       Start = "preface"  // at its beginning
	AfterSettings Start = ""         // after default SETTINGS of both sides
	Anywhere      Start = "anywhere" // they are no conversation
)

// Vector is one example of the protocol.
type Vector struct {
	Name    string
	About   string
	Start   Start
	Expect  string   // "ok", or what the last unit leads to: "connection PROTOCOL", "call …", "not-native"
	By      string   // "frame" or "state": what shows that the last unit is wrong; "" if Expect is "ok"
	Units   []Unit   // in the order of the wire
	Decoded []string // one line for each unit, beginning with its direction
}

// Load reads all vectors of a folder in the order of their names.
func Load(dir string) ([]Vector, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("vectors: no *.txt in %s", dir)
	}
	all := make([]Vector, 0, len(paths))
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		v, err := Parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("vectors: %s: %w", path, err)
		}
		if want := strings.TrimSuffix(filepath.Base(path), ".txt"); v.Name != want {
			return nil, fmt.Errorf("vectors: %s: is named %q", path, v.Name)
		}
		all = append(all, v)
	}
	return all, nil
}

// Parse reads one vector.
func Parse(text string) (Vector, error) {
	var v Vector
	head, rest, _ := strings.Cut(text, "\nhex:\n")
	hexText, decoded, _ := strings.Cut(rest, "\ndecoded:\n")
	for line := range strings.Lines(head) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		key, value, _ := strings.Cut(line, ": ")
		switch key {
		case "name":
			v.Name = value
		case "about":
			v.About = value
		case "start":
			if v.Start = Start(value); v.Start != Preface && v.Start != Anywhere {
				return v, fmt.Errorf("unknown start %q", value)
			}
		case "expect":
			v.Expect, v.By, _ = strings.Cut(value, " by ")
		default:
			return v, fmt.Errorf("unknown key %q", key)
		}
	}
	if v.Name == "" || v.Expect == "" {
		return v, fmt.Errorf("name or expect is missing")
	}
	for line := range strings.Lines(decoded) {
		if line = strings.TrimSpace(line); line != "" {
			v.Decoded = append(v.Decoded, line)
		}
	}
	var err error
	v.Units, err = ParseHex(hexText)
	return v, err
}

// ParseHex reads the lines below "hex:".
func ParseHex(text string) ([]Unit, error) {
	var units []Unit
	fresh := true // the next line begins a unit
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			fresh = true
			continue
		}
		dir := Dir(fields[0][0])
		if len(fields[0]) != 1 || dir != Client && dir != Server {
			return nil, fmt.Errorf("%q: a line begins with C or S", line)
		}
		if !fresh && units[len(units)-1].Dir != dir {
			return nil, fmt.Errorf("%q: direction changes within a unit", line)
		}
		if fresh {
			units = append(units, Unit{Dir: dir})
			fresh = false
		}
		u := &units[len(units)-1]
		for _, field := range fields[1:] {
			b, err := parseBytes(field)
			if err != nil {
				return nil, err
			}
			u.Bytes = append(u.Bytes, b...)
		}
	}
	return units, nil
}

// parseBytes reads "7a" or "7a*100".
func parseBytes(field string) ([]byte, error) {
	digits, count, repeated := strings.Cut(field, "*")
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) != 1 {
		return nil, fmt.Errorf("%q: want two hex digits", field)
	}
	if !repeated {
		return b, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 || n > 1<<20 {
		return nil, fmt.Errorf("%q: bad count", field)
	}
	return []byte(strings.Repeat(string(b), n)), nil
}
