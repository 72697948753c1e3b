package etcd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/rpcx-go/rpcx/runtime/address"
)

// maxKey is the longest key that is looked at, in bytes.
const maxKey = 2 << 10

// entries are what is known of a folder.
type entries struct {
	folder string
	max    int
	report func(error)

	endpoints map[string]address.Endpoint // by key
	broken    map[string]int64            // the revisions of those that are, by key
	full      bool                        // there are more

	// What has been reported before this was listed.
	reported     map[string]int64
	reportedFull bool
}

func newEntries(folder string, max int, report func(error)) *entries {
	return &entries{folder: folder, max: max, report: report, endpoints: map[string]address.Endpoint{}, broken: map[string]int64{}}
}

// again returns an empty set for the same folder, which does not report what e has.
func (e *entries) again() *entries {
	n := newEntries(e.folder, e.max, e.report)
	n.reported, n.reportedFull = e.broken, e.full
	return n
}

// put takes over an entry as it is since the revision.
func (e *entries) put(key, value []byte, revision int64) {
	if bytes.IndexByte(key[len(e.folder):], '/') >= 0 {
		return // another name's
	}
	if len(key) > maxKey {
		e.report(fmt.Errorf("etcd: entry %.100q is skipped: its key has %d bytes, at most %d will do", key, len(key), maxKey))
		return
	}
	k := string(key)
	_, known := e.endpoints[k]
	_, broken := e.broken[k]
	if !known && !broken && len(e.endpoints)+len(e.broken) >= e.max {
		if !e.full && !e.reportedFull {
			e.report(fmt.Errorf("etcd: %q has more than %d entries; some are skipped", e.folder, e.max))
		}
		e.full = true
		return
	}
	endpoint, err := parse(value)
	if err == nil {
		delete(e.broken, k)
		e.endpoints[k] = endpoint
		return
	}
	delete(e.endpoints, k)
	e.broken[k] = revision
	if e.reported[k] != revision {
		e.report(fmt.Errorf("etcd: entry %q is skipped: %w", key, err))
	}
}

// remove forgets an entry.
func (e *entries) remove(key []byte) {
	delete(e.endpoints, string(key))
	delete(e.broken, string(key))
}

// list returns the endpoints in the order of their keys, and of those that have
// the same identity the first.
func (e *entries) list() []address.Endpoint {
	endpoints := make([]address.Endpoint, 0, len(e.endpoints))
	seen := make(map[address.ID]bool, len(e.endpoints))
	for _, k := range slices.Sorted(maps.Keys(e.endpoints)) {
		if endpoint := e.endpoints[k]; !seen[endpoint.ID()] {
			seen[endpoint.ID()] = true
			endpoints = append(endpoints, endpoint)
		}
	}
	return endpoints
}

// parse returns the endpoint that an entry's value is.
func parse(value []byte) (address.Endpoint, error) {
	// Its own limit comes after all of it has been scanned.
	if len(value) > address.MaxEndpointJSON {
		return address.Endpoint{}, fmt.Errorf("its value has %d bytes, at most %d will do", len(value), address.MaxEndpointJSON)
	}
	var e address.Endpoint
	if err := json.Unmarshal(value, &e); err != nil {
		return address.Endpoint{}, err
	}
	return e, e.Validate()
}
