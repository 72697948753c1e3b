package address

import (
	"math/rand/v2"
	"slices"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/metadata"
)

// Picker chooses the node for each call. It never changes; Pick may be called
// concurrently and does not allocate.
type Picker interface {
	// Pick returns the node for a call, or nil if there is none at all. It does
	// not count the call: whoever makes it calls the node's Begin. A node that has
	// been tried is chosen only if all have been.
	//
	// r is not kept and not changed. As it is passed through an interface it
	// lives on the heap: callers that must not allocate keep it in an object that
	// the call has anyway.
	Pick(r *Request) *Node
}

// Request is what is known of a call when its node is chosen.
type Request struct {
	// Method and Metadata are the call's; balancers that are built in do not look.
	Method   *call.Method
	Metadata metadata.MD
	// Class is what the caller states of the call's importance.
	Class call.Class
	// Key is the call's route key, which may be absent.
	Key call.Key
	// Hash is the key's hash, if it HasKey. It need not be a good one: small
	// integers do.
	Hash   uint64
	HasKey bool
	// Tried are the nodes to which the call went in vain.
	Tried []*Node
	// Avoid has nodes that are avoided for one of these reasons count as tried.
	Avoid Reason
	// Now is the time in nanoseconds, on the scale of Node.End. Zero means that
	// it is not known: then latencies do not fade, and nobody starts slowly.
	Now int64
	// Rand is where random numbers come from, nil means math/rand/v2.
	Rand func() uint64
}

func (r *Request) random() uint64 {
	if r.Rand != nil {
		return r.Rand()
	}
	return rand.Uint64()
}

func (r *Request) tried(n *Node) bool {
	return r.Avoid != 0 && n.Out()&r.Avoid != 0 || len(r.Tried) > 0 && slices.Contains(r.Tried, n)
}

// choosy reports whether some node may have been tried.
func (r *Request) choosy() bool { return r.Avoid != 0 || len(r.Tried) > 0 }

// Balancer makes pickers. Those of this package are plain values, whose zero
// value has the defaults, and which any number of pools may share.
type Balancer interface {
	// Picker returns a picker of the nodes in v, or nil if there are none. It is
	// called whenever nodes come, go, change their attributes, or are marked out
	// or in. last is the picker that the new one replaces, nil at first; from it
	// may be taken over what is still true. Picker neither changes nor keeps
	// anything else of a View than its nodes.
	Picker(v View, last Picker) Picker
}

// View is what a Balancer sees.
type View struct {
	// Nodes are all nodes, in the order of the resolver.
	Nodes []*Node
	// Usable are those that may be chosen: Nodes without those that have a reason
	// in Avoid. It is empty only if Nodes is.
	Usable []*Node
	// Avoid is the set of reasons that count: all of them, unless less than half
	// of the nodes would be left (then only Draining), or none (then no reason).
	Avoid Reason
	// Now is the time, see Request.
	Now int64
}

// Panics reports whether nodes that are suspected are in use because too few
// are above suspicion.
func (v View) Panics() bool { return len(v.Nodes) > 0 && v.Avoid != ^Reason(0) }

// NewView returns the view of nodes as they are marked at now. It keeps nodes,
// which nobody may change any more.
func NewView(nodes []*Node, now int64) View {
	v := View{Nodes: nodes, Usable: nodes, Now: now}
	for _, v.Avoid = range []Reason{^Reason(0), Draining} {
		usable := without(nodes, v.Avoid)
		if v.Avoid == Draining && len(usable) > 0 || len(nodes) <= 2*len(usable) {
			v.Usable = usable
			return v
		}
	}
	v.Avoid = 0
	return v
}

// without returns the nodes that have no reason in avoid.
func without(nodes []*Node, avoid Reason) []*Node {
	out := func(n *Node) bool { return n.Out()&avoid != 0 }
	if !slices.ContainsFunc(nodes, out) {
		return nodes
	}
	return slices.DeleteFunc(slices.Clone(nodes), out)
}
