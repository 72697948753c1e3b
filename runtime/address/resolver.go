package address

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Resolver finds the endpoints of targets. It may be used concurrently.
type Resolver interface {
	// Resolve checks the target and returns what finds its endpoints, and looks
	// nothing up yet: an error says that the target is wrong.
	Resolve(t Target) (Source, error)
}

// ResolverFunc is a function that is a Resolver.
type ResolverFunc func(t Target) (Source, error)

// Resolve implements Resolver.
func (f ResolverFunc) Resolve(t Target) (Source, error) { return f(t) }

// Source finds the endpoints of one target.
type Source interface {
	// Watch calls update with all endpoints as soon as they are known and whenever
	// they may have changed, or with an error when they cannot be found; then it
	// goes on trying. It returns when ctx is done, leaving no goroutine behind, or
	// earlier if nothing will change any more. Calls of update follow each other,
	// and none comes after Watch returned. Watch may be called several times, also
	// concurrently.
	Watch(ctx context.Context, update func(Update))
}

// SourceFunc is a function that is a Source.
type SourceFunc func(ctx context.Context, update func(Update))

// Watch implements Source.
func (f SourceFunc) Watch(ctx context.Context, update func(Update)) { f(ctx, update) }

// Update is what a Source found.
type Update struct {
	// Endpoints are all there are; they replace those of the last update. Whoever
	// gets the slice may keep it, and nobody may change it.
	Endpoints []Endpoint
	// Err is why they could not be found, or nil. A Source leaves Endpoints empty
	// then; a Keeper gives those that were found last. If a Source sets both, the
	// Endpoints count, and Err says what is wrong with a part of them.
	Err error
}

// MaxEndpoints is how many endpoints a target has at most: a Keeper leaves out what
// comes after them, as registries hold others' input and all endpoints cost time
// whenever one of them changes.
const MaxEndpoints = 10_000

// Target is a target's parts: "scheme://host/path?query".
type Target struct {
	// Scheme is what comes before the first ":".
	Scheme string
	// Host is what stands between "//" and the next "/", "" mostly.
	Host string
	// Path is what follows, without the "/" it begins with if there is a "//".
	Path string
	// Query is what follows a "?".
	Query url.Values
	// Text is the whole target.
	Text string
}

// ParseTarget returns the parts of text, which are the scheme's to understand.
func ParseTarget(text string) (Target, error) {
	scheme, rest, ok := strings.Cut(text, ":")
	if !ok || scheme == "" {
		return Target{}, fmt.Errorf("target %q: want a scheme, as in \"dns:///users.internal:7000\"", text)
	}
	t := Target{Scheme: scheme, Text: text}
	rest, query, _ := strings.Cut(rest, "?")
	var err error
	if t.Query, err = url.ParseQuery(query); err != nil {
		return Target{}, fmt.Errorf("target %q: after \"?\": %w", text, err)
	}
	t.Path = rest
	if host, ok := strings.CutPrefix(rest, "//"); ok {
		t.Host, t.Path, _ = strings.Cut(host, "/")
	}
	return t, nil
}

// errorf returns an error that quotes the target.
func (t Target) errorf(format string, args ...any) error {
	return fmt.Errorf("target %q: "+format, append([]any{t.Text}, args...)...)
}

// Schemes says which Resolver is for which scheme. It is a value of whoever uses
// it: add schemes with With or by assigning to a map of your own.
type Schemes map[string]Resolver

// Builtin returns a new map of the schemes of this package: dns, dns+srv, file,
// static, tcp and unix.
func Builtin() Schemes {
	return Schemes{
		"dns":     DNS{},
		"dns+srv": DNS{},
		"file":    File{},
		"static":  ResolverFunc(static),
		"tcp":     ResolverFunc(single),
		"unix":    ResolverFunc(single),
	}
}

// With returns a copy in which scheme is r's.
func (s Schemes) With(scheme string, r Resolver) Schemes {
	s = maps.Clone(s)
	if s == nil {
		s = Schemes{}
	}
	s[scheme] = r
	return s
}

// Resolve returns what finds the endpoints of target: a target of one of the
// schemes, or just "host:port". A host that has the name of a scheme needs one:
// "tcp://dns:7000".
func (s Schemes) Resolve(target string) (Source, error) {
	scheme, _, _ := strings.Cut(target, ":")
	r, ok := s[scheme]
	if !ok {
		if strings.Contains(target, "://") {
			known := strings.Join(slices.Sorted(maps.Keys(s)), ", ")
			return nil, fmt.Errorf("target %q: scheme %q is not known (have: %s)", target, scheme, known)
		}
		e, err := Parse(target)
		if err != nil {
			return nil, err
		}
		return Static(e), nil
	}
	t, err := ParseTarget(target)
	if err != nil {
		return nil, err
	}
	return r.Resolve(t)
}
