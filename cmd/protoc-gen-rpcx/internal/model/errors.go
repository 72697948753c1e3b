package model

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/types/descriptorpb"
)

// ErrorAt returns an error that starts with file:line:column, where the
// element of the file that path names begins. Path is as in SourceCodeInfo: the
// numbers of fields and indexes that lead to the element. Without a position
// for it, that of the nearest enclosing element counts, and 1:1 without any.
func ErrorAt(file *descriptorpb.FileDescriptorProto, path []int32, format string, args ...any) error {
	line, column := position(file, path)
	return fmt.Errorf("%s:%d:%d: %s", file.GetName(), line, column, fmt.Sprintf(format, args...))
}

// position returns line and column of the element, counted from one.
func position(file *descriptorpb.FileDescriptorProto, path []int32) (line, column int32) {
	line, column = 1, 1
	best := 0
	for _, loc := range file.GetSourceCodeInfo().GetLocation() {
		n := len(loc.Path)
		if n <= best || n > len(path) || len(loc.Span) < 3 || !slices.Equal(loc.Path, path[:n]) {
			continue
		}
		best, line, column = n, loc.Span[0]+1, loc.Span[1]+1
	}
	return line, column
}
