package address

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/rpcx-go/rpcx/runtime/call"
)

// LanesConfig says which route keys have a lane of their own, so that heavy users do not
// stand in the way of light ones. It is data: see LaneRule for what lanes do.
type LanesConfig struct {
	// Rules are asked in their order; the first that has the key says the lane.
	Rules []LaneKeys `json:"rules,omitempty"`
	// Hot, if it is set, finds the keys that are called most among those that no rule has.
	Hot *HotKeys `json:"hot,omitempty"`
}

// LaneKeys are keys of one lane: those that are in Ranges or Keys, or have one of the
// prefixes or suffixes.
type LaneKeys struct {
	// Lane is 1 to call.MaxLane.
	Lane uint8 `json:"lane"`
	// Ranges are of keys that are numbers, see call.Key.Number.
	Ranges []KeyRange `json:"ranges,omitempty"`
	// Keys, Prefixes and Suffixes are compared with the text of the key, which for numbers
	// is decimal.
	Keys     []string `json:"keys,omitempty"`
	Prefixes []string `json:"prefixes,omitempty"`
	Suffixes []string `json:"suffixes,omitempty"`
}

// KeyRange is the keys from From to To, both included.
type KeyRange struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// Validate says what is wrong: which rule, counted from 0, which field, and what it may be.
func (c LanesConfig) Validate() error {
	for i := range c.Rules {
		if err := c.Rules[i].validate(); err != nil {
			return fmt.Errorf("rules[%d]%w", i, err)
		}
	}
	if c.Hot != nil {
		if err := c.Hot.validate(); err != nil {
			return fmt.Errorf("hot.%w", err)
		}
	}
	return nil
}

func (l *LaneKeys) validate() error {
	if err := validateLane(l.Lane); err != nil {
		return fmt.Errorf(".lane: %w", err)
	}
	if len(l.Ranges)+len(l.Keys)+len(l.Prefixes)+len(l.Suffixes) == 0 {
		return errors.New(": has no keys, want ranges, keys, prefixes or suffixes")
	}
	for i, r := range l.Ranges {
		if r.To < r.From {
			return fmt.Errorf(".ranges[%d].to: is %d, want at least from, %d", i, r.To, r.From)
		}
	}
	if i := slices.Index(l.Prefixes, ""); i >= 0 {
		return fmt.Errorf(".prefixes[%d]: is empty, which is a prefix of every key", i)
	}
	if i := slices.Index(l.Suffixes, ""); i >= 0 {
		return fmt.Errorf(".suffixes[%d]: is empty, which is a suffix of every key", i)
	}
	return nil
}

func validateLane(lane uint8) error {
	if lane < 1 || lane > call.MaxLane {
		return fmt.Errorf("is %d, want 1 to %d", lane, call.MaxLane)
	}
	return nil
}

// Lanes tells the lanes of keys.
type Lanes struct {
	rules []laneKeys
	hot   *hotKeys // or nil
}

// laneKeys is a LaneKeys that is quick to look into.
type laneKeys struct {
	*LaneKeys
	ranges []KeyRange // in order, without overlaps
	keys   map[string]struct{}
}

// NewLanes returns what tells lanes as cfg says, or why cfg is not valid. It keeps cfg:
// nobody may change it any more.
func NewLanes(cfg LanesConfig) (*Lanes, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("lanes: %w", err)
	}
	l := &Lanes{}
	for i := range cfg.Rules {
		rule := &cfg.Rules[i]
		keys := make(map[string]struct{}, len(rule.Keys))
		for _, key := range rule.Keys {
			keys[key] = struct{}{}
		}
		l.rules = append(l.rules, laneKeys{rule, joined(rule.Ranges), keys})
	}
	if cfg.Hot != nil {
		l.hot = newHotKeys(*cfg.Hot)
	}
	return l, nil
}

// joined returns the ranges in order, those that overlap as one.
func joined(ranges []KeyRange) []KeyRange {
	sorted := slices.Clone(ranges)
	slices.SortFunc(sorted, func(a, b KeyRange) int { return cmp.Compare(a.From, b.From) })
	out := sorted[:0]
	for _, r := range sorted {
		if n := len(out); n > 0 && r.From <= out[n-1].To {
			out[n-1].To = max(out[n-1].To, r.To)
		} else {
			out = append(out, r)
		}
	}
	return out
}

// Lane returns the lane for a call with the key, whose hash is hash, at now, on the scale of
// Request.Now; false if the key has none or is absent. If hot keys are looked for it
// counts the call, unless now is zero. It may be called concurrently, never waits for long,
// and does not allocate, except when the hot keys change.
func (l *Lanes) Lane(key call.Key, hash uint64, now int64) (lane uint8, ok bool) {
	if !key.Present() {
		return 0, false
	}
	if len(l.rules) > 0 {
		var digits [20]byte
		text, isText := key.Text()
		if !isText {
			text = string(key.AppendText(digits[:0])) // on the stack
		}
		number, isNumber := key.Number()
		for i := range l.rules {
			if l.rules[i].has(text, number, isNumber) {
				return l.rules[i].Lane, true
			}
		}
	}
	if l.hot != nil && l.hot.is(hash, now) {
		return l.hot.cfg.Lane, true
	}
	return 0, false
}

func (l *laneKeys) has(text string, number uint64, isNumber bool) bool {
	if isNumber && len(l.ranges) > 0 {
		i := sort.Search(len(l.ranges), func(i int) bool { return l.ranges[i].To >= number })
		if i < len(l.ranges) && l.ranges[i].From <= number {
			return true
		}
	}
	if _, ok := l.keys[text]; ok {
		return true
	}
	for _, prefix := range l.Prefixes {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	for _, suffix := range l.Suffixes {
		if strings.HasSuffix(text, suffix) {
			return true
		}
	}
	return false
}
