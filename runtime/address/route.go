package address

import (
	"errors"
	"fmt"
)

// Routes are rules that narrow the endpoints that a call may go to, one after the
// other, before a Balancer chooses among those that are left. They are data: build
// them, or read them with ParseRoutes, and make a Balancer of them.
//
// Rules on which the answer of a call may depend, such as Partition, belong before
// those that are about cost, such as Zone.
type Routes struct {
	// Local is where the caller is.
	Local Location `json:"local,omitzero"`
	// Rules apply in this order.
	Rules []Rule `json:"rules,omitempty"`
}

// Location is a place as endpoints name theirs.
type Location struct {
	Zone   string `json:"zone,omitempty"`
	Region string `json:"region,omitempty"`
}

// Rule is one rule: exactly one of the pointers is set.
type Rule struct {
	Tags      *TagRule       `json:"tags,omitempty"`
	Zone      *ZoneRule      `json:"zone,omitempty"`
	Regions   *RegionRule    `json:"regions,omitempty"`
	Role      *RoleRule      `json:"role,omitempty"`
	Partition *PartitionRule `json:"partition,omitempty"`
	Lane      *LaneRule      `json:"lane,omitempty"`

	// Fallback says what becomes of a call if the rule leaves no endpoint, or none
	// that is usable while there are others. Empty means FallbackNone for Role and
	// Partition, on which answers depend, and FallbackAll for the others.
	Fallback Fallback `json:"fallback,omitempty"`
	// FallbackTags are for FallbackTags, and only for it.
	FallbackTags map[string]string `json:"fallback_tags,omitempty"`
}

// Fallback says where a call goes if a rule leaves nothing to choose from.
type Fallback string

// The fallbacks.
const (
	// FallbackAll skips the rule.
	FallbackAll Fallback = "all"
	// FallbackNone fails the call if the rule leaves no endpoint. If it leaves some and
	// all are suspected they are used, as that is better than to fail.
	FallbackNone Fallback = "none"
	// FallbackTags sends it to the endpoints that have all of Rule.FallbackTags, and
	// fails it if there are none.
	FallbackTags Fallback = "tags"
)

// MaxRules is how many rules Routes may have.
const MaxRules = 8

// ruleKind is one of the pointers of a Rule.
type ruleKind interface {
	// validate says what is wrong, beginning with the name of the field.
	validate(local Location) error
	// divide says which of the nodes, and which calls, belong to which branch.
	divide(in forkInput) division
}

// kind returns the pointer that is set, its name, and the fallback if none is named.
func (r *Rule) kind() (kind ruleKind, name string, fallback Fallback, count int) {
	set := func(isSet bool, k ruleKind, n string, f Fallback) {
		if isSet {
			kind, name, fallback = k, n, f
			count++
		}
	}
	set(r.Tags != nil, r.Tags, "tags", FallbackAll)
	set(r.Zone != nil, r.Zone, "zone", FallbackAll)
	set(r.Regions != nil, r.Regions, "regions", FallbackAll)
	set(r.Role != nil, r.Role, "role", FallbackNone)
	set(r.Partition != nil, r.Partition, "partition", FallbackNone)
	set(r.Lane != nil, r.Lane, "lane", FallbackAll)
	if r.Fallback != "" {
		fallback = r.Fallback
	}
	return kind, name, fallback, count
}

// Validate says what is wrong with the rules: which rule, counted from 0, which field,
// and what it may be.
func (r Routes) Validate() error {
	if len(r.Rules) > MaxRules {
		return fmt.Errorf("rules: %d of them, want at most %d", len(r.Rules), MaxRules)
	}
	for i := range r.Rules {
		if err := r.Rules[i].validate(r.Local); err != nil {
			return fmt.Errorf("rules[%d]%w", i, err)
		}
	}
	return nil
}

func (r *Rule) validate(local Location) error {
	kind, name, _, count := r.kind()
	if count != 1 {
		return fmt.Errorf(": has %d kinds, want one of tags, zone, regions, role, partition, lane", count)
	}
	if err := kind.validate(local); err != nil {
		return fmt.Errorf(".%s.%w", name, err)
	}
	switch r.Fallback {
	case "", FallbackAll, FallbackNone:
		if len(r.FallbackTags) > 0 {
			return fmt.Errorf(".fallback_tags: are set, want them only with the fallback %q", FallbackTags)
		}
	case FallbackTags:
		return wrapField(".fallback_tags", validateTags(r.FallbackTags))
	default:
		return fmt.Errorf(".fallback: is %q, want %q, %q or %q", r.Fallback, FallbackAll, FallbackNone, FallbackTags)
	}
	return nil
}

func wrapField(field string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", field, err)
	}
	return nil
}

func validateTags(tags map[string]string) error {
	if len(tags) == 0 {
		return errors.New("is empty, want the tags that endpoints must have")
	}
	if _, ok := tags[""]; ok {
		return errors.New("has a tag without a name")
	}
	return nil
}

// hasTags reports whether the endpoint has all of the tags.
func (e *Endpoint) hasTags(tags map[string]string) bool {
	for name, value := range tags {
		if got, ok := e.Tags[name]; !ok || got != value {
			return false
		}
	}
	return true
}

// Balancer returns a Balancer that narrows the nodes by the rules and has of, or P2C
// if it is nil, choose among those that are left. It fails if the rules are not
// valid. It keeps the rules: nobody may change them any more.
//
// Each set of nodes that the rules can leave has a picker of its own, which is made
// when the first call wants it, and takes over from the one that was there for the
// same set before the nodes changed.
func (r Routes) Balancer(of Balancer) (Balancer, error) {
	if err := r.Validate(); err != nil {
		return nil, fmt.Errorf("routes: %w", err)
	}
	if of == nil {
		of = P2C{}
	}
	if len(r.Rules) == 0 {
		return of, nil
	}
	b := &routes{of: of, rules: make([]route, len(r.Rules))}
	for i := range r.Rules {
		rule := &r.Rules[i]
		kind, _, fallback, _ := rule.kind()
		b.rules[i] = route{kind, fallback, rule.FallbackTags, r.Local, mix(mix(uint64(i)) + 1)}
	}
	return b, nil
}
