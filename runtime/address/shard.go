package address

// Sharder is implemented by pickers that can tell which calls belong together, so that
// a call about many keys can be split into one for each server.
type Sharder interface {
	// Shard returns a number that is the same for calls whose keys lead to the same
	// server or group of servers. It is false if the key of r does not matter, or if
	// there is none. Load, and nodes that were tried, do not matter. Only numbers of the same
	// picker can be compared. Like Pick, Shard may be called concurrently and does not
	// allocate.
	Shard(r *Request) (id uint64, ok bool)
}

// Shard returns what the Sharder that picks for the pool returns, false if the picker is none.
func (p *Pool) Shard(r *Request) (id uint64, ok bool) {
	picker := p.picker.Load()
	if picker == nil {
		return 0, false
	}
	return shardOf(*picker, r)
}

func shardOf(p Picker, r *Request) (id uint64, ok bool) {
	if s, isSharder := p.(Sharder); isSharder {
		return s.Shard(r)
	}
	return 0, false
}

// Shard implements Sharder: it stands for the node that the key belongs to, or as long
// as that is out, for the one that stands in.
func (p *hashPicker) Shard(r *Request) (id uint64, ok bool) {
	if !r.HasKey {
		return shardOf(p.fallback, r)
	}
	return hashID(p.owner(mix(r.Hash)).ID(), 0), true
}

// owner returns the node that Pick would choose if there were no load.
func (p *hashPicker) owner(key uint64) *Node {
	table, nodes := p.table.get(), p.table.nodes
	mixed := key
	for range 1 + probes*len(nodes) {
		if n := nodes[table.find(mixed)]; n.Out()&p.avoid == 0 {
			return n
		}
		mixed = mix(mixed)
	}
	return nodes[table.find(key)]
}

// Shard implements Sharder. A partition is a shard, its number if nothing else tells keys
// apart; if the picker behind the rules does, a server has one shard for each partition.
func (p *routePicker) Shard(r *Request) (id uint64, ok bool) {
	if !r.HasKey {
		return 0, false
	}
	s, _ := p.root.shard(r)
	return s.id, s.ok
}

// shard is what Sharder.Shard returns.
type shard struct {
	id uint64
	ok bool
}

func (p *part) shard(r *Request) (s shard, found rank) {
	switch {
	case p.fork != nil:
		s, found = p.fork.shard(r)
	case p.picker == nil:
		return shard{}, rankNone
	default:
		s.id, s.ok = shardOf(p.picker, r)
		found = rankGood
		if p.suspect {
			found = rankSuspect
		}
	}
	if s.ok && p.index > 0 {
		s.id = mix(s.id + mix(uint64(p.index)))
	}
	return s, found
}

func (f *fork) shard(r *Request) (s shard, found rank) {
	first := f.division.first(r)
	if first >= 0 {
		s, found = f.part(first).shard(r)
	}
	if found != rankGood {
		s, found = otherwise(f, r, first, s, found, (*part).shard)
	}
	if !s.ok && first >= 0 && f.division.keyed() {
		s = shard{uint64(first), true}
	}
	return s, found
}
