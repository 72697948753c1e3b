package jsoncodec

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
)

// Bounds of what an error repeats of its input, in bytes.
const (
	maxReason = 300
	maxPath   = 200
)

// explain makes the error of data, which is not the JSON of an m, out of what
// protojson said: with the place, the path of the field there, and always in the
// same words.
func explain(reason string, data []byte, m proto.Message) error {
	name := m.ProtoReflect().Descriptor().FullName()
	if len(bytes.TrimSpace(data)) == 0 {
		return fmt.Errorf("JSON of %s is empty: a message without fields is {}", name)
	}
	reason = clean(reason)
	line, column, rest, ok := place(reason)
	if ok {
		reason = rest
	} else if strings.HasSuffix(reason, "unexpected EOF") {
		reason = "it ends too early"
		line = 1 + bytes.Count(data, []byte("\n"))
		column = 1 + utf8.RuneCount(data[bytes.LastIndexByte(data, '\n')+1:])
	}
	if strings.Contains(reason, "exceeded max recursion depth") {
		reason = errTooDeep.Error()
	}
	at := ""
	if line > 0 {
		at = fmt.Sprintf(", line %d, column %d", line, column)
		if p := path(data, offset(data, line, column)); p != "" {
			at += ", field " + p
		}
	}
	return fmt.Errorf("JSON of %s%s: %s", name, at, cut(reason, maxReason))
}

// clean makes an error of protobuf-go the same in all programs: it has a space
// in it that is an ordinary one in some and not in others.
func clean(reason string) string {
	reason = strings.ReplaceAll(reason, "proto:\u00a0", "proto: ")
	reason = strings.ReplaceAll(reason, `proto:\u00a0`, "proto: ") // quoted
	return strings.TrimPrefix(reason, "proto: ")
}

// place takes the line and column, both from 1 on, off the front of what
// protojson said. Columns count characters.
func place(reason string) (line, column int, rest string, ok bool) {
	at, found := strings.CutPrefix(strings.TrimPrefix(reason, "syntax error "), "(line ")
	if !found {
		return 0, 0, "", false
	}
	numbers, rest, _ := strings.Cut(at, "): ")
	l, c, _ := strings.Cut(numbers, ":")
	line, err := strconv.Atoi(l)
	if err != nil {
		return 0, 0, "", false
	}
	if column, err = strconv.Atoi(c); err != nil {
		return 0, 0, "", false
	}
	return line, column, strings.TrimPrefix(rest, "proto: "), true
}

// offset returns where in data line and column are.
func offset(data []byte, line, column int) int {
	at := 0
	for ; line > 1; line-- {
		n := bytes.IndexByte(data[at:], '\n')
		if n < 0 {
			return len(data)
		}
		at += n + 1
	}
	for ; column > 1 && at < len(data); column-- {
		_, n := utf8.DecodeRune(data[at:])
		at += n
	}
	return at
}

// cut shortens s to about n bytes.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
