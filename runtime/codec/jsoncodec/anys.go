package jsoncodec

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/rpcx-go/rpcx/runtime/codec"
)

// maxAnys is how many Anys may be in one another: protojson reads what is in an
// Any once for its type and once more for its value, and marshals that, so that
// each costs its whole content again.
const maxAnys = 10

var errManyAnys = fmt.Errorf("more than %d Anys are in one another", maxAnys)

// checkAnys returns an error if JSON has more than maxAnys objects with a type in
// one another. What is not JSON is left for protojson to complain about.
func checkAnys(data []byte) error {
	if !bytes.Contains(data, []byte("@type")) && !bytes.Contains(data, []byte(`\u`)) {
		return nil
	}
	// object is an object or list that has begun and not ended.
	type object struct {
		any   bool
		depth int // of the Anys in it
	}
	var open []object
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{', '[':
			// No message has so many levels, two for each repeated one.
			if len(open) > 3*codec.MaxNesting {
				return errTooDeep
			}
			open = append(open, object{})
		case '}', ']':
			last := len(open) - 1
			if last < 1 {
				return nil
			}
			depth := open[last].depth
			if open[last].any {
				depth++
			}
			open = open[:last]
			parent := &open[last-1]
			if parent.depth = max(parent.depth, depth); parent.any && depth >= maxAnys {
				return errManyAnys
			}
		case '"':
			end := closing(data, i)
			if last := len(open) - 1; last >= 0 && isType(data[i+1:end]) {
				if open[last].any = true; open[last].depth >= maxAnys {
					return errManyAnys
				}
			}
			i = end
		}
	}
	return nil
}

// isType reports whether the inside of a string is the name of the field that
// says the type of an Any. That it may as well be a value does no harm.
func isType(s []byte) bool {
	if bytes.IndexByte(s, '\\') < 0 {
		return string(s) == "@type"
	}
	if len(s) > 6*len("@type") {
		return false
	}
	name, err := strconv.Unquote(`"` + string(s) + `"`)
	return err == nil && name == "@type"
}
