package address

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

// DefaultFileInterval is how often File looks at a file.
const DefaultFileInterval = time.Second

// File resolves "file:///path" or "file:path", where path is absolute or relative, by a
// list of endpoints in JSON:
//
//	[
//	  "10.0.0.1:7000",
//	  {"address": "10.0.0.2:7000", "weight": 3, "zone": "a", "tags": {"disk": "ssd"}}
//	]
//
// The fields of an object are address, weight, zone, region, role, tags, protocol
// and name. The file is looked at every second; when it has changed all of it is
// read and taken over at once, or nothing if it is broken: then the update has an
// error that says line and column. Replace it by renaming another one, so that
// nobody sees a part.
type File struct {
	// Interval is the time between looks, DefaultFileInterval if it is zero.
	Interval time.Duration
}

// Resolve implements Resolver.
func (f File) Resolve(t Target) (Source, error) {
	path := t.Path
	if path == "" || t.Host != "" {
		return nil, t.errorf("want the path of a file, as in \"file:///etc/users.json\"")
	}
	if strings.HasPrefix(t.Text, t.Scheme+"://") {
		path = "/" + path
	}
	if f.Interval <= 0 {
		f.Interval = DefaultFileInterval
	}
	return &fileSource{path, f.Interval}, nil
}

type fileSource struct {
	path     string
	interval time.Duration
}

// Watch implements Source.
func (s *fileSource) Watch(ctx context.Context, update func(Update)) {
	var last fileState
	for {
		if next := last.look(s.path); next.changed(last) {
			last = next
			u := Update{Err: next.err}
			if u.Err == nil {
				u.Endpoints, u.Err = ParseFile(next.data)
			}
			if u.Err != nil {
				u.Err = fmt.Errorf("%s: %w", s.path, u.Err)
			}
			update(u)
		} else {
			last = next
		}
		if !sleep(ctx, s.interval, nil) {
			return
		}
	}
}

// fileState is a file as it was when it was looked at.
type fileState struct {
	info fs.FileInfo
	data []byte
	err  error
}

// coarse is how far apart changes have to be to show in the time of a file.
const coarse = 2 * time.Second

// look returns the present state, reading the file if it may have changed.
func (f fileState) look(path string) fileState {
	info, err := os.Stat(path)
	if err != nil {
		return fileState{err: err}
	}
	if f.info != nil && os.SameFile(f.info, info) && f.info.Size() == info.Size() &&
		f.info.ModTime().Equal(info.ModTime()) && time.Since(info.ModTime()) > coarse {
		return f
	}
	data, err := os.ReadFile(path)
	return fileState{info, data, err}
}

// changed reports whether the state is to be told after the last one.
func (f fileState) changed(last fileState) bool {
	if f.err != nil || last.err != nil {
		return f.err == nil || last.err == nil || f.err.Error() != last.err.Error()
	}
	return last.info == nil || !bytes.Equal(f.data, last.data)
}

// ParseFile returns the endpoints that a file for File lists. An error begins
// with the line and the column of what is wrong, counted in bytes from 1.
func ParseFile(data []byte) ([]Endpoint, error) {
	var elements []json.RawMessage
	if err := json.Unmarshal(data, &elements); err != nil || elements == nil {
		return nil, listError(data, err)
	}
	// The text is well formed: a decoder tells where each element begins.
	dec := json.NewDecoder(bytes.NewReader(data))
	if _, err := dec.Token(); err != nil {
		return nil, listError(data, err)
	}
	endpoints := make([]Endpoint, len(elements))
	for i, raw := range elements {
		begin := skipSpace(data, dec.InputOffset())
		var err error
		if err = dec.Decode(new(json.RawMessage)); err != nil {
			return nil, listError(data, err)
		}
		var within int
		if endpoints[i], within, err = parseEndpoint(raw, true); err != nil {
			return nil, errorAt(data, begin+within, err)
		}
	}
	return endpoints, nil
}

// listError says why data is not a list; err is what the decoder says, or nil.
func listError(data []byte, err error) error {
	var syntax *json.SyntaxError
	switch begin := skipSpace(data, 0); {
	case begin == len(data) || data[begin] != '[':
		return errorAt(data, begin, errors.New("want a list of endpoints, as in [\"10.0.0.1:7000\"]"))
	case !errors.As(err, &syntax):
		return errorAt(data, begin, err)
	case int(syntax.Offset) >= len(data) && strings.HasPrefix(syntax.Error(), "unexpected end"):
		return errorAt(data, len(data), errors.New("the list has no end"))
	}
	return errorAt(data, int(syntax.Offset)-1, err)
}

// skipSpace returns the offset of the first byte from offset on that says something.
func skipSpace(data []byte, offset int64) int {
	at := int(offset)
	for at < len(data) && bytes.IndexByte([]byte(" \t\r\n,"), data[at]) >= 0 {
		at++
	}
	return at
}

// errorAt returns err with the line and column of the offset.
func errorAt(data []byte, offset int, err error) error {
	before := data[:max(0, min(offset, len(data)))]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return fmt.Errorf("line %d, column %d: %w", line, column, err)
}
