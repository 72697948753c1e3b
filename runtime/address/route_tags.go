package address

import (
	"fmt"
	"strings"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/metadata"
)

// TagRule sends some calls to the endpoints with certain tags, such as those that run
// a new version, and the other calls to the other endpoints.
type TagRule struct {
	// Tags are what the endpoints have: all of them, with these values.
	Tags map[string]string `json:"tags"`
	// Percent is how many of the calls, drawn at random, are sent there, 0 to 100. Calls
	// with a route key are drawn by the key: all calls of a key, and those of all
	// clients, go the same way, and when Percent grows none of them goes back.
	Percent float64 `json:"percent,omitempty"`
	// Metadata sends the calls there, too, that have any of this.
	Metadata []MetadataMatch `json:"metadata,omitempty"`
	// Methods limits both to calls of these services, "users.v1.Users", and methods,
	// "users.v1.Users/Get". Empty means all.
	Methods []string `json:"methods,omitempty"`
	// Shared lets the other calls go to these endpoints as well.
	Shared bool `json:"shared,omitempty"`
}

// MetadataMatch is true of calls that have the key, with any value if neither Value nor
// Prefix is set.
type MetadataMatch struct {
	// Key is in lower case.
	Key string `json:"key"`
	// Value is what one of the values is.
	Value string `json:"value,omitempty"`
	// Prefix is what one of the values begins with.
	Prefix string `json:"prefix,omitempty"`
}

func (t *TagRule) validate(Location) error {
	if err := validateTags(t.Tags); err != nil {
		return wrapField("tags", err)
	}
	if !(t.Percent >= 0 && t.Percent <= 100) {
		return fmt.Errorf("percent: is %v, want 0 to 100", t.Percent)
	}
	for i, m := range t.Metadata {
		if err := validateMetadataKey(m.Key); err != nil {
			return fmt.Errorf("metadata[%d].key: %w", i, err)
		}
		if m.Value != "" && m.Prefix != "" {
			return fmt.Errorf("metadata[%d]: has a value and a prefix, want one of them or none", i)
		}
	}
	for i, m := range t.Methods {
		service, name, isMethod := strings.Cut(m, "/")
		if service == "" || isMethod && (name == "" || strings.Contains(name, "/")) || strings.ContainsAny(m, "* ") {
			return fmt.Errorf("methods[%d]: is %q, want a service as in \"users.v1.Users\" or a method as in \"users.v1.Users/Get\"", i, m)
		}
	}
	return nil
}

func validateMetadataKey(key string) error {
	if !metadata.ValidKey(key) {
		return fmt.Errorf("is %q, want a-z, 0-9, '-', '_' and '.'", key)
	}
	return nil
}

// The branches of a tagDivision; tagCount is also where the rule does not apply.
const (
	tagged = iota
	untagged
	tagCount
)

type tagDivision struct {
	simple
	rule  *TagRule
	share float64
	salt  uint64
	in    []bool // by node
}

func (t *TagRule) divide(in forkInput) division {
	s := &tagDivision{rule: t, share: t.Percent / 100, salt: in.salt, in: make([]bool, len(in.nodes))}
	for i, n := range in.nodes {
		s.in[i] = n.endpoint.Load().hasTags(t.Tags)
	}
	return s
}

func (*tagDivision) count() int                  { return tagCount }
func (s *tagDivision) has(branch, node int) bool { return s.in[node] == (branch == tagged) }

func (s *tagDivision) first(r *Request) int {
	switch {
	case s.rule.wants(r) || s.drawn(r):
		return tagged
	case s.rule.Shared:
		return tagCount
	}
	return untagged
}

// drawn reports whether the call is among the Percent.
func (s *tagDivision) drawn(r *Request) bool {
	return s.share > 0 && s.rule.covers(r.Method) && r.draw(s.salt) < s.share
}

// wants reports whether the call's metadata send it there.
func (t *TagRule) wants(r *Request) bool {
	if len(t.Metadata) == 0 || len(r.Metadata) == 0 || !t.covers(r.Method) {
		return false
	}
	for i := range t.Metadata {
		if t.Metadata[i].matches(r.Metadata) {
			return true
		}
	}
	return false
}

func (m *MetadataMatch) matches(md metadata.MD) bool {
	for i := range md {
		if md[i].Key == m.Key && (m.Value == "" || md[i].Value == m.Value) && strings.HasPrefix(md[i].Value, m.Prefix) {
			return true
		}
	}
	return false
}

// covers reports whether the method is among Methods.
func (t *TagRule) covers(m *call.Method) bool {
	if len(t.Methods) == 0 {
		return true
	}
	if m == nil {
		return false
	}
	for _, name := range t.Methods {
		if name == m.WireName() || name == m.Service() {
			return true
		}
	}
	return false
}

// draw returns a number from [0, 1): the same one for all calls with the same key.
func (r *Request) draw(salt uint64) float64 {
	if r.HasKey {
		// Mixed twice, so that it says nothing about the place in a table of Hash.
		return unit(mix(mix(r.Hash) ^ salt))
	}
	return unit(r.random())
}

// unit maps u to [0, 1).
func unit(u uint64) float64 { return float64(u>>11) * 0x1p-53 }
