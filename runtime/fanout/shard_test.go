package fanout

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// byLetter shards texts by their first letter. Those that begin with a digit have
// no shard, and those with an exclamation mark fail.
type byLetter struct{}

func (byLetter) Shard(_ context.Context, m *call.Method, key call.Key, _ ...rpcx.CallOption) (uint64, bool, error) {
	text := key.String()
	if m != getMany {
		return 0, false, errors.New("another method")
	}
	switch c := text[0]; {
	case c == '!':
		return 0, false, errAway
	case '0' <= c && c <= '9':
		return uint64(c), false, nil
	default:
		return uint64(c), true, nil
	}
}

var (
	getMany  = call.NewMethod(call.MethodSpec{Service: "users.v1.Users", Name: "GetMany"}, nil, nil)
	withKeys = call.NewMethod(call.MethodSpec{Service: "users.v1.Users", Name: "GetAll", KeyRequired: true}, nil, nil)
)

func textKey(s string) call.Key {
	if s == "" {
		return call.Key{}
	}
	return call.TextKey(s)
}

// received is what a part of a test was given.
type received struct {
	Elems string
	Key   string // of its options
	Lane  uint8  // of its options
}

func TestShard(t *testing.T) {
	type result struct {
		Results []string
		Err     string
		NotRun  bool
		Parts   []received
	}
	for _, test := range []struct {
		name  string
		elems string
		opts  []Option
		want  result
	}{
		{"none", "", nil, result{Results: []string{}}},
		{"one server", "a1 a2", nil, result{Results: []string{"<a1>", "<a2>"}, Parts: []received{{Elems: "a1 a2", Key: "a1"}}}},
		{"in the order of the elements", "b1 a1 b2 c1 a2 b1", nil, result{
			Results: []string{"<b1>", "<a1>", "<b2>", "<c1>", "<a2>", "<b1>"},
			Parts:   []received{{Elems: "a1 a2", Key: "a1"}, {Elems: "b1 b2 b1", Key: "b1"}, {Elems: "c1", Key: "c1"}},
		}},
		{"no keys and keys that do not matter", "- a1 2 - 1", nil, result{
			Results: []string{"<->", "<a1>", "<2>", "<->", "<1>"},
			Parts:   []received{{Elems: "- 2 - 1", Key: "2"}, {Elems: "a1", Key: "a1"}},
		}},
		{"no keys", "- -", nil, result{Results: []string{"<->", "<->"}, Parts: []received{{Elems: "- -"}}}},
		{"options of calls", "a1", []Option{WithCallOptions(rpcx.WithLane(3)), WithCallOptions(rpcx.WithRouteKey(call.TextKey("x")))},
			result{Results: []string{"<a1>"}, Parts: []received{{Elems: "a1", Key: "a1", Lane: 3}}}},
		{"failure", "a1 b_missing a2", []Option{WithLimit(1)}, result{
			Err:   "NOT_FOUND: 1 of 2 parts failed: shard 2 of 2: NOT_FOUND: no such user",
			Parts: []received{{Elems: "a1 a2", Key: "a1"}, {Elems: "b_missing", Key: "b_missing"}},
		}},
		{"partial results", "a1 b_missing c_away a2 c2", []Option{WithPartialResults()}, result{
			Results: []string{"<a1>", "", "", "<a2>", ""},
			Err:     "NOT_FOUND: 2 of 3 parts failed: shard 2 of 3: NOT_FOUND: no such user; shard 3 of 3: UNAVAILABLE: away",
			Parts:   []received{{Elems: "a1 a2", Key: "a1"}, {Elems: "b_missing", Key: "b_missing"}, {Elems: "c_away c2", Key: "c_away"}},
		}},
		{"too few answers", "a1 b_few b2 a2", []Option{WithPartialResults()}, result{
			Results: []string{"<a1>", "", "", "<a2>"},
			Err:     "INTERNAL: 1 of 2 parts failed: shard 2 of 2: INTERNAL: 1 answers for 2 elements",
			Parts:   []received{{Elems: "a1 a2", Key: "a1"}, {Elems: "b_few b2", Key: "b_few"}},
		}},
		{"too many answers", "a_many", nil, result{
			Err:   "INTERNAL: 1 of 1 parts failed: shard 1 of 1: INTERNAL: 2 answers for 1 elements",
			Parts: []received{{Elems: "a_many", Key: "a_many"}},
		}},
		{"nothing ran", "a_away b_away", []Option{WithPartialResults()}, result{
			Results: []string{"", ""}, NotRun: true,
			Err:   "UNAVAILABLE: 2 of 2 parts failed: shard 1 of 2: UNAVAILABLE: away; shard 2 of 2: UNAVAILABLE: away",
			Parts: []received{{Elems: "a_away", Key: "a_away"}, {Elems: "b_away", Key: "b_away"}},
		}},
		{"no shards to be had", "a1 !", nil, result{Err: "UNAVAILABLE: away", NotRun: true}},
		{"no time left", "a1 b1", []Option{WithTimeout(-1)}, result{
			Err: "DEADLINE_EXCEEDED: 1 of 2 parts failed: shard 1 of 2: DEADLINE_EXCEEDED: context deadline exceeded", NotRun: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var mu sync.Mutex
			var parts []received
			results, err := Shard(t.Context(), byLetter{}, getMany, strings.Fields(test.elems),
				func(s string) call.Key { return textKey(strings.Trim(s, "-")) },
				func(_ context.Context, part []string, opts ...rpcx.CallOption) ([]string, error) {
					o := rpcx.CallOptions(opts...)
					mu.Lock()
					parts = append(parts, received{strings.Join(part, " "), o.Key.String(), o.Class.Lane})
					mu.Unlock()
					return answer(part)
				}, test.opts...)
			slices.SortFunc(parts, func(a, b received) int { return strings.Compare(a.Elems, b.Elems) })
			got := result{Results: results, NotRun: status.FromError(err).NotRun(), Parts: parts}
			if err != nil {
				got.Err = err.Error()
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// answer answers for each element, and does what their names say.
func answer(part []string) ([]string, error) {
	var results []string
	for _, elem := range part {
		switch _, what, _ := strings.Cut(elem, "_"); what {
		case "missing":
			return results, errMissing
		case "away":
			return nil, errAway
		case "few":
			continue
		case "many":
			results = append(results, "extra")
		}
		results = append(results, "<"+elem+">")
	}
	return results, nil
}

func TestShardElements(t *testing.T) {
	_, err := Shard(t.Context(), byLetter{}, getMany, []string{"a1", "b_missing", "c_away", "a2", "c2"}, textKey,
		func(_ context.Context, part []string, _ ...rpcx.CallOption) ([]string, error) { return answer(part) },
		WithPartialResults())
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %T", err)
	}
	var elements [][]int
	for _, part := range e.Parts {
		elements = append(elements, part.Elements)
	}
	if diff := cmp.Diff([][]int{{1}, {2, 4}}, elements); diff != "" {
		t.Errorf("elements that failed (-want +got):\n%s", diff)
	}
}

func TestShardKeyRequired(t *testing.T) {
	results, err := Shard(t.Context(), Unsharded(nil), withKeys, []string{"a", "", "b"}, textKey,
		func(context.Context, []string, ...rpcx.CallOption) ([]int, error) {
			t.Error("a part is begun")
			return nil, nil
		})
	want := "INVALID_ARGUMENT: element 1 has no route key, which /users.v1.Users/GetAll requires"
	if results != nil || err == nil || err.Error() != want || !status.FromError(err).NotRun() {
		t.Errorf("%v, %v; want %s", results, err, want)
	}
}

func TestUnsharded(t *testing.T) {
	results, err := Shard(t.Context(), Unsharded(nil), getMany, []string{"a", "", "b"}, textKey,
		func(_ context.Context, part []string, _ ...rpcx.CallOption) ([]string, error) { return part, nil })
	if diff := cmp.Diff([]string{"a", "", "b"}, results); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
