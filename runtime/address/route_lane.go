package address

import (
	"fmt"

	"github.com/rpcx-go/rpcx/runtime/call"
)

// LaneRule keeps lanes apart: calls in lane N go to endpoints that are tagged with N, and
// calls in lane 0, the ordinary one, to endpoints without the tag. With FallbackAll, the
// default, calls in a lane of which no endpoint is usable go to those of lane 0, and only
// then to any.
type LaneRule struct {
	// Tag is the tag in which endpoints say which lanes they serve, as in "1" or "1,3";
	// "lane" if it is empty. Those that do not say it in that form serve none.
	Tag string `json:"tag,omitempty"`
}

func (l *LaneRule) validate(Location) error {
	for i := range len(l.Tag) {
		if l.Tag[i] <= ' ' {
			return fmt.Errorf("tag: is %q, want a name without spaces", l.Tag)
		}
	}
	return nil
}

const laneCount = call.MaxLane + 1

type laneDivision struct {
	simple
	strict bool
	serves []spans // by node
}

func (l *LaneRule) divide(in forkInput) division {
	tag := l.Tag
	if tag == "" {
		tag = "lane"
	}
	s := &laneDivision{strict: in.fallback != FallbackAll, serves: make([]spans, len(in.nodes))}
	for i, n := range in.nodes {
		if text, ok := n.endpoint.Load().Tags[tag]; ok {
			s.serves[i] = parseSpans(text)
		} else {
			s.serves[i] = spans{{0, 0}}
		}
	}
	return s
}

func (*laneDivision) count() int                  { return laneCount }
func (s *laneDivision) has(branch, node int) bool { return s.serves[node].has(uint64(branch)) }
func (*laneDivision) first(r *Request) int        { return int(min(r.Class.Lane, call.MaxLane)) }

func (s *laneDivision) other(first, k int) int {
	if !s.strict && first != 0 && k == 0 {
		return 0
	}
	return -1
}
