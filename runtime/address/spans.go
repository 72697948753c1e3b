package address

import (
	"strconv"
	"strings"
)

// span is the numbers from from to to, both included.
type span struct{ from, to uint64 }

// spans are what a tag such as "0,3" or "0-7, 12" lists.
type spans []span

// parseSpans returns the numbers that text lists, nil if it is not a list of them.
func parseSpans(text string) spans {
	var list spans
	for item := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(item), "-")
		if !isRange {
			last = first
		}
		from, err := strconv.ParseUint(first, 10, 64)
		if err != nil {
			return nil
		}
		to, err := strconv.ParseUint(last, 10, 64)
		if err != nil || to < from {
			return nil
		}
		list = append(list, span{from, to})
	}
	return list
}

func (s spans) has(n uint64) bool {
	for _, r := range s {
		if r.from <= n && n <= r.to {
			return true
		}
	}
	return false
}
