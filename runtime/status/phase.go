package status

// Phase names the part of a call that was waited for when its deadline passed.
// It is what the caller saw, and is not sent.
type Phase uint8

// The phases of a call, in the order in which a call goes through them.
const (
	// PhaseNone says that the phase is not known.
	PhaseNone Phase = iota
	// PhaseResolve waits for the addresses behind a target.
	PhaseResolve
	// PhasePick waits for an endpoint that may be used.
	PhasePick
	// PhaseDial waits for a connection to be made.
	PhaseDial
	// PhaseQueue waits for a place among the calls of a connection or a server.
	PhaseQueue
	// PhaseSend waits for the request to be written.
	PhaseSend
	// PhaseHandler waits for the handler's answer.
	PhaseHandler
	// PhaseReceive waits for the rest of an answer that has begun.
	PhaseReceive
)

var phaseNames = [...]string{
	PhaseNone:    "none",
	PhaseResolve: "resolve",
	PhasePick:    "pick",
	PhaseDial:    "dial",
	PhaseQueue:   "queue",
	PhaseSend:    "send",
	PhaseHandler: "handler",
	PhaseReceive: "receive",
}

// String returns the phase's name in lower case, such as "dial".
func (p Phase) String() string {
	if int(p) < len(phaseNames) {
		return phaseNames[p]
	}
	return "invalid phase"
}
