package jsoncodec

import (
	"strconv"
	"strings"

	"github.com/rpcx-go/rpcx/runtime/codec"
)

// level is an object or a list that a place in JSON lies in.
type level struct {
	list  bool
	index int    // of the element, in a list
	key   string // as it is written, in an object
	named bool   // the key has been read, its value has not
}

// path returns the path of the value or key at data[at], such as
// "users[3].name", and "" for the outermost value. It takes data for JSON up to
// there: of anything else it makes some path or none.
func path(data []byte, at int) string {
	at = min(at, len(data))
	var levels []level
	for i := 0; i < at; i++ {
		switch c := data[i]; c {
		case '{', '[':
			// No message has so many levels, two for each repeated one.
			if len(levels) > 2*codec.MaxNesting {
				return ""
			}
			levels = append(levels, level{list: c == '['})
		case '}', ']':
			levels = levels[:max(len(levels)-1, 0)]
		case ',':
			if n := len(levels); n > 0 {
				levels[n-1].index++
				levels[n-1].named = false
			}
		case '"':
			end := closing(data, i)
			if n := len(levels); n > 0 && !levels[n-1].list && !levels[n-1].named && end <= at {
				levels[n-1].key, levels[n-1].named = string(data[i+1:end]), true
			}
			i = end
		}
	}
	if n := len(levels); n > 0 && at < len(data) && data[at] == '"' && !levels[n-1].list && !levels[n-1].named {
		levels[n-1].key, levels[n-1].named = string(data[at+1:closing(data, at)]), true
	}
	return join(levels)
}

// closing returns where the string ends that begins at data[i]: at its second
// quote, or with data.
func closing(data []byte, i int) int {
	for i++; i < len(data) && data[i] != '"'; i++ {
		if data[i] == '\\' {
			i++
		}
	}
	return min(i, len(data))
}

func join(levels []level) string {
	var b strings.Builder
	for _, l := range levels {
		switch {
		case b.Len() > maxPath:
			return cut(b.String(), maxPath)
		case l.list:
			b.WriteString("[" + strconv.Itoa(l.index) + "]")
		case l.named:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(cut(l.key, maxPath))
		}
	}
	return cut(b.String(), maxPath)
}
