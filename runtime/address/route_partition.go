package address

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
)

// PartitionRule sends a call to the endpoints that hold the partition of its route key.
// The fallback is for calls without a key, or with one that is in no range, and for
// partitions that no endpoint holds.
//
// The partition is the hash of the key, see call.Key.Hash, modulo Count. As the number of
// partitions does not change with that of the servers, which say what they hold, nothing
// would be won by a consistent hash.
type PartitionRule struct {
	// Count is how many partitions there are, 1 to MaxPartitions.
	Count int `json:"count"`
	// Tag is the tag in which endpoints say what they hold, as in "3", "0,3" or "0-7,12";
	// "partition" if it is empty. Endpoints that do not say, or not in that form, hold
	// nothing.
	Tag string `json:"tag,omitempty"`
	// Ranges, if there are any, map keys that are numbers to partitions, instead of the
	// hash. They must not overlap.
	Ranges []PartitionRange `json:"ranges,omitempty"`
}

// PartitionRange is the keys from From to To, both included.
type PartitionRange struct {
	From      uint64 `json:"from"`
	To        uint64 `json:"to"`
	Partition int    `json:"partition"`
}

// MaxPartitions is how many partitions there may be.
const MaxPartitions = 16384

func (p *PartitionRule) validate(Location) error {
	if p.Count < 1 || p.Count > MaxPartitions {
		return fmt.Errorf("count: is %d, want 1 to %d", p.Count, MaxPartitions)
	}
	for i, r := range p.Ranges {
		if r.To < r.From {
			return fmt.Errorf("ranges[%d].to: is %d, want at least from, %d", i, r.To, r.From)
		}
		if r.Partition < 0 || r.Partition >= p.Count {
			return fmt.Errorf("ranges[%d].partition: is %d, want 0 to %d", i, r.Partition, p.Count-1)
		}
	}
	sorted := p.sorted()
	for i := 1; i < len(sorted); i++ {
		if a, b := sorted[i-1], sorted[i]; b.From <= a.To {
			return fmt.Errorf("ranges: %d to %d and %d to %d overlap", a.From, a.To, b.From, b.To)
		}
	}
	return nil
}

// sorted returns the ranges in the order of their keys.
func (p *PartitionRule) sorted() []PartitionRange {
	ranges := slices.Clone(p.Ranges)
	slices.SortFunc(ranges, func(a, b PartitionRange) int { return cmp.Compare(a.From, b.From) })
	return ranges
}

type partitionDivision struct {
	simple
	partitions int
	ranges     []PartitionRange // sorted
	holds      []spans          // by node
}

func (p *PartitionRule) divide(in forkInput) division {
	tag := p.Tag
	if tag == "" {
		tag = "partition"
	}
	s := &partitionDivision{partitions: p.Count, ranges: p.sorted(), holds: make([]spans, len(in.nodes))}
	for i, n := range in.nodes {
		s.holds[i] = parseSpans(n.endpoint.Load().Tags[tag])
	}
	return s
}

func (s *partitionDivision) count() int                { return s.partitions }
func (s *partitionDivision) has(branch, node int) bool { return s.holds[node].has(uint64(branch)) }
func (*partitionDivision) keyed() bool                 { return true }

func (s *partitionDivision) first(r *Request) int {
	if !r.HasKey {
		return -1
	}
	if len(s.ranges) == 0 {
		return int(r.Hash % uint64(s.partitions))
	}
	key, ok := r.Key.Number()
	if !ok {
		return -1
	}
	i := sort.Search(len(s.ranges), func(i int) bool { return s.ranges[i].To >= key })
	if i == len(s.ranges) || s.ranges[i].From > key {
		return -1
	}
	return s.ranges[i].Partition
}
