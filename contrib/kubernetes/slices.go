package kubernetes

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/rpcx-go/rpcx/runtime/address"
)

const (
	// maxSlices is how many slices a service may have, and maxInSlice how many
	// endpoints a slice: the API allows no more.
	maxSlices  = 4096
	maxInSlice = 1000
)

var errTooMany = fmt.Errorf("the service has more than %d slices", maxSlices)

type meta struct {
	Name            string `json:"name"`
	ResourceVersion string `json:"resourceVersion"`
}

// slice is the part of an EndpointSlice, discovery.k8s.io/v1, that is of use.
type slice struct {
	Metadata    meta       `json:"metadata"`
	AddressType string     `json:"addressType"`
	Ports       []port     `json:"ports"`
	Endpoints   []endpoint `json:"endpoints"`
}

type port struct {
	Name     string  `json:"name"`
	Protocol *string `json:"protocol"` // nil is TCP
	Port     *int    `json:"port"`     // nil is any
}

type endpoint struct {
	Addresses  []string `json:"addresses"` // of which only the first has a meaning
	Conditions struct {
		Ready       *bool `json:"ready"`       // nil is true
		Serving     *bool `json:"serving"`     // nil is ready
		Terminating *bool `json:"terminating"` // nil is false
	} `json:"conditions"`
	NodeName  string `json:"nodeName"`
	Zone      string `json:"zone"`
	TargetRef struct {
		Kind string `json:"kind"`
		Name string `json:"name"`
		UID  string `json:"uid"`
	} `json:"targetRef"`
}

func (e *endpoint) ready() bool { return e.Conditions.Ready == nil || *e.Conditions.Ready }

// serving reports whether the endpoint may be used if no other is ready.
func (e *endpoint) serving() bool {
	c := e.Conditions
	return c.Serving != nil && *c.Serving && c.Terminating != nil && *c.Terminating
}

// sliceSet are the slices of a service, by name.
type sliceSet struct{ all map[string]*slice }

func newSliceSet() *sliceSet { return &sliceSet{all: make(map[string]*slice)} }

// put takes over a slice, or says what is wrong with it.
func (s *sliceSet) put(text json.RawMessage) error {
	read := new(slice)
	err := json.Unmarshal(text, read)
	if err == nil && read.Metadata.Name == "" {
		err = errors.New("it has no name")
	}
	if err == nil && len(read.Endpoints) > maxInSlice {
		err = fmt.Errorf("it has %d endpoints, more than %d", len(read.Endpoints), maxInSlice)
	}
	if err != nil {
		return fmt.Errorf("slice %.100q is broken and skipped: %w", read.Metadata.Name, err)
	}
	if len(s.all) >= maxSlices && s.all[read.Metadata.Name] == nil {
		return errTooMany
	}
	s.all[read.Metadata.Name] = read
	return nil
}

// pod is an endpoint as one or more slices have it.
type pod struct {
	address.Endpoint
	uid            string // of the pod and the port, "" if it is not known
	four           bool
	ready, serving bool
}

// endpoints returns what the slices say, what is wrong with what was skipped, and
// an error if none has the port.
func (s *source) endpoints(known *sliceSet) (found []address.Endpoint, skipped, err error) {
	var all []pod
	var broken []error
	matched, others := false, make(map[string]bool)
	for _, name := range slices.Sorted(maps.Keys(known.all)) {
		slice := known.all[name]
		number, ok := s.portOf(slice)
		if !ok {
			for _, p := range slice.Ports {
				others[p.String()] = true
			}
			continue
		}
		matched = true
		for i := range slice.Endpoints {
			p, err := s.pod(slice, &slice.Endpoints[i], number)
			if err != nil {
				broken = append(broken, fmt.Errorf("slice %q: endpoint %d: %w", name, i, err))
			} else {
				all = append(all, p)
			}
		}
	}
	if !matched && len(known.all) > 0 {
		return nil, nil, s.noPort(others)
	}
	if len(broken) > 0 {
		skipped = fmt.Errorf("%d endpoints are broken and skipped: %w", len(broken), broken[0])
	}
	all = s.useful(merged(all))
	if len(all) > s.config.MaxEndpoints {
		skipped = errors.Join(skipped, fmt.Errorf("%d endpoints are too many, only %d are used", len(all), s.config.MaxEndpoints))
		all = all[:s.config.MaxEndpoints]
	}
	found = make([]address.Endpoint, len(all))
	for i, p := range all {
		found[i] = p.Endpoint
	}
	return found, skipped, nil
}

// portOf returns the number of the port that the source wants.
func (s *source) portOf(slice *slice) (int, bool) {
	var only int
	n := 0
	for _, p := range slice.Ports {
		if p.Protocol != nil && *p.Protocol != "TCP" {
			continue
		}
		switch {
		case s.number != 0 && (p.Port == nil || *p.Port == s.number):
			return s.number, true
		case p.Port == nil || *p.Port < 1 || *p.Port > 65535:
			continue
		case s.number == 0 && s.port != "" && p.Name == s.port:
			return *p.Port, true
		}
		only = *p.Port
		n++
	}
	if s.number != 0 {
		return s.number, len(slice.Ports) == 0 // no list of ports is one of all
	}
	return only, s.port == "" && n == 1
}

// String returns the port as errors name it.
func (p port) String() string {
	text := "any"
	if p.Port != nil {
		text = strconv.Itoa(*p.Port)
	}
	if p.Name != "" {
		text = p.Name + "=" + text
	}
	if p.Protocol != nil && *p.Protocol != "TCP" {
		text += " " + *p.Protocol
	}
	return text
}

func (s *source) noPort(others map[string]bool) error {
	names := slices.Sorted(maps.Keys(others))
	have := strings.Join(names[:min(len(names), 20)], ", ")
	if s.port == "" {
		return fmt.Errorf("the target has no port, and the service not just one for TCP (have: %s)", have)
	}
	return fmt.Errorf("the service has no port %s for TCP that pods listen on (have: %s)", s.port, have)
}

// pod returns an endpoint of a slice.
func (s *source) pod(slice *slice, e *endpoint, port int) (pod, error) {
	if len(e.Addresses) == 0 {
		return pod{}, errors.New("it has no address")
	}
	host := e.Addresses[0]
	ip, err := netip.ParseAddr(host)
	switch {
	case slice.AddressType == "FQDN":
	case err != nil:
		return pod{}, err
	case slice.AddressType != "IPv4" && slice.AddressType != "IPv6" || ip.Is4() != (slice.AddressType == "IPv4"):
		return pod{}, fmt.Errorf("%s is not an address of the type %.20q", host, slice.AddressType)
	}
	p := pod{
		Endpoint: address.Endpoint{
			Network: "tcp", Addr: net.JoinHostPort(host, strconv.Itoa(port)),
			Zone: e.Zone, Name: s.service + "." + s.namespace + ".svc",
		},
		four: ip.Is4(), ready: e.ready(), serving: e.serving(),
	}
	if e.TargetRef.UID != "" {
		p.uid = e.TargetRef.UID + " " + strconv.Itoa(port)
	}
	tags := make(map[string]string)
	if e.NodeName != "" {
		tags["node"] = e.NodeName
	}
	if e.TargetRef.Kind == "Pod" && e.TargetRef.Name != "" {
		tags["pod"] = e.TargetRef.Name
	}
	if len(tags) > 0 {
		p.Tags = tags
	}
	return p, p.Validate()
}

// merged returns the pods in the order of their addresses, each address once.
func merged(all []pod) []pod {
	slices.SortStableFunc(all, func(a, b pod) int { return cmp.Compare(a.Addr, b.Addr) })
	var out []pod
	for _, p := range all {
		if n := len(out); n > 0 && out[n-1].Addr == p.Addr {
			last := &out[n-1]
			if p.ready && !last.ready {
				last.Endpoint = p.Endpoint
			}
			last.ready, last.serving = last.ready || p.ready, last.serving || p.serving
			continue
		}
		out = append(out, p)
	}
	return out
}

// useful returns those that are ready or, if there are none, those that still serve,
// of the family that is wanted, and each pod once.
func (s *source) useful(all []pod) []pod {
	all = slices.DeleteFunc(all, func(p pod) bool {
		isIP := p.four || strings.HasPrefix(p.Addr, "[")
		return isIP && (s.config.Family == "ip4" && !p.four || s.config.Family == "ip6" && p.four)
	})
	some := slices.ContainsFunc(all, func(p pod) bool { return p.ready })
	all = slices.DeleteFunc(all, func(p pod) bool { return some && !p.ready || !some && !p.serving })
	four := make(map[string]bool) // pods that have an address of that family
	for _, p := range all {
		if p.four && p.uid != "" {
			four[p.uid] = true
		}
	}
	return slices.DeleteFunc(all, func(p pod) bool { return !p.four && four[p.uid] })
}
