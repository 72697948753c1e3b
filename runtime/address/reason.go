package address

import "strings"

// Reason is why a node is to be avoided. A node may have several reasons; it is
// avoided until none is left.
type Reason uint32

// The reasons. All but Draining are suspicions, which are ignored when they
// fall on more than half of the nodes.
const (
	// Disconnected: attempts to connect fail.
	Disconnected Reason = 1 << iota
	// Unhealthy: the server, asked for its health, says so or does not answer.
	Unhealthy
	// Ejected: its calls fail or take long where those of others do not.
	Ejected
	// Draining: the server said that it goes away.
	Draining
)

var reasonNames = [...]string{"disconnected", "unhealthy", "ejected", "draining"}

// String returns the reasons with "+" between them, and "in" if there is none.
func (r Reason) String() string {
	var names []string
	for i, name := range reasonNames {
		if r&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if names == nil {
		return "in"
	}
	return strings.Join(names, "+")
}

// Out returns why the node is avoided, 0 if it is not.
func (n *Node) Out() Reason { return Reason(n.out.Load()) }

// MarkOut adds reasons to avoid the node and reports whether one was not there
// yet. It returns when the Pool's picker avoids the node. It must not be called
// by a Balancer.
func (n *Node) MarkOut(why Reason) bool {
	before := Reason(n.out.Or(uint32(why)))
	return n.marked(before|why != before)
}

// MarkIn takes reasons away and reports whether one was there, otherwise like
// MarkOut.
func (n *Node) MarkIn(why Reason) bool {
	before := Reason(n.out.And(^uint32(why)))
	return n.marked(before&why != 0)
}

func (n *Node) marked(changed bool) bool {
	if changed && n.pool != nil {
		n.pool.marked()
	}
	return changed
}
