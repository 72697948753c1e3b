package call

// Class is what a caller states of the importance of a call. On the server it is
// a claim of the peer's, not to be trusted unless the peer is.
type Class struct {
	// Priority is 0 for unspecified, otherwise 1 (lowest) to 7 (highest).
	Priority uint8
	// Lane keeps kinds of work apart, 0 to 7; 0 is the ordinary one.
	Lane uint8
	// Attempt is how often the call was sent before, 3 standing for 3 or more.
	// The runtime counts it. Whoever serves a call with an Attempt above 0 must
	// not have the calls sent again that it makes for it.
	Attempt uint8
}

// Largest values of a Class.
const (
	MaxPriority = 7
	MaxLane     = 7
	MaxAttempt  = 3
)
