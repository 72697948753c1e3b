package model

import (
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
)

// doc joins paragraphs to the text of a Go comment, each line with its "//".
// Empty paragraphs are left out; the comment is empty if all of them are.
func doc(paragraphs ...string) string {
	var b strings.Builder
	for _, p := range paragraphs {
		p = strings.Trim(strings.ReplaceAll(p, "\r", ""), "\n")
		// What is left of the two stars that begin a comment in Javadoc style.
		p = strings.TrimPrefix(p, "*\n")
		if strings.TrimSpace(p) == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\n//\n")
		}
		for i, line := range strings.Split(p, "\n") {
			if i > 0 {
				b.WriteByte('\n')
			}
			b.WriteString("//")
			// Without a space, a comment of the proto such as
			// "//go:generate …" would give orders to the Go tools.
			if line != "" && line[0] != ' ' && line[0] != '\t' {
				b.WriteByte(' ')
			}
			b.WriteString(strings.TrimRight(line, " \t"))
		}
	}
	return b.String()
}

// commentOf returns the text of the comment that documents an element: the one
// before it, else the one after it.
func commentOf(c protogen.CommentSet) string {
	if strings.TrimSpace(string(c.Leading)) != "" {
		return string(c.Leading)
	}
	return string(c.Trailing)
}

// deprecation returns the paragraph that marks a declaration as deprecated,
// unless comment, which stands before it, says so already.
func deprecation(comment, reason string) string {
	for line := range strings.Lines(comment) {
		if strings.HasPrefix(strings.TrimSpace(line), "Deprecated:") {
			return ""
		}
	}
	return "Deprecated: " + reason
}
