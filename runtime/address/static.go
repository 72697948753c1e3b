package address

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Static returns a Source of endpoints that never change.
func Static(endpoints ...Endpoint) Source {
	endpoints = slices.Clone(endpoints)
	return SourceFunc(func(_ context.Context, update func(Update)) { update(Update{Endpoints: endpoints}) })
}

// single resolves a target that is an endpoint: "tcp://host:port", "unix:///path".
func single(t Target) (Source, error) {
	e, err := Parse(t.Text)
	if err != nil {
		return nil, err
	}
	return Static(e), nil
}

// static resolves a list of endpoints, each with attributes of its own, and with
// a query of attributes for those that have none:
//
//	static:///a:7000,b:7000;weight=3;tag.disk=ssd?zone=x
func static(t Target) (Source, error) {
	if t.Host != "" {
		return nil, t.errorf("want three slashes, as in \"static:///a:7000,b:7000\"")
	}
	var endpoints []Endpoint
	for item := range strings.SplitSeq(t.Path, ",") {
		text, attributes, _ := strings.Cut(item, ";")
		e, err := Parse(text)
		if err != nil {
			return nil, t.errorf("%w", err)
		}
		for _, key := range slices.Sorted(maps.Keys(t.Query)) {
			for _, value := range t.Query[key] {
				if err := e.set(key, value); err != nil {
					return nil, t.errorf("%w", err)
				}
			}
		}
		for field := range strings.SplitSeq(attributes, ";") {
			key, value, _ := strings.Cut(field, "=")
			if field == "" {
				continue
			}
			if err := e.set(key, value); err != nil {
				return nil, t.errorf("%s: %w", text, err)
			}
		}
		endpoints = append(endpoints, e)
	}
	return Static(endpoints...), nil
}

// set sets the attribute that a target calls key.
func (e *Endpoint) set(key, value string) error {
	fields := map[string]*string{"zone": &e.Zone, "region": &e.Region, "role": &e.Role, "protocol": &e.Protocol, "name": &e.Name}
	if field, ok := fields[key]; ok {
		*field = value
		return nil
	}
	if tag, ok := strings.CutPrefix(key, "tag."); ok && tag != "" {
		tags := maps.Clone(e.Tags)
		if tags == nil {
			tags = map[string]string{}
		}
		tags[tag] = value
		e.Tags = tags
		return nil
	}
	if key != "weight" {
		return attributeError{key, "is not known (have: name, protocol, region, role, tag.NAME, weight, zone)"}
	}
	w, err := strconv.ParseUint(value, 10, 32)
	if err != nil || w == 0 {
		return attributeError{key, "is " + strconv.Quote(value) + ", want a number from 1 to 4294967295"}
	}
	e.Weight = uint32(w)
	return nil
}

type attributeError struct{ key, what string }

func (e attributeError) Error() string { return "attribute " + strconv.Quote(e.key) + " " + e.what }
