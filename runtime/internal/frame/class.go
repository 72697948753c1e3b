package frame

// Class is the class byte of OPEN: priority, lane and attempt.
type Class uint8

// MaxAttempt is where the attempt count saturates.
const MaxAttempt = 3

// MakeClass packs a priority (0 unspecified, 1 lowest to 7 highest), a lane
// (0 to 7) and an attempt (0 for the first; larger than 3 is sent as 3).
// Only the low three bits of priority and lane count.
func MakeClass(priority, lane, attempt uint8) Class {
	return Class(priority&7<<5 | lane&7<<2 | min(attempt, MaxAttempt))
}

// Priority returns 0 for unspecified, else 1 (lowest) to 7 (highest).
func (c Class) Priority() uint8 { return uint8(c) >> 5 }

// Lane returns the lane, 0 to 7.
func (c Class) Lane() uint8 { return uint8(c) >> 2 & 7 }

// Attempt returns how often the call was tried before, 3 standing for 3 or
// more. A callee never retries what it does for a call with Attempt > 0.
func (c Class) Attempt() uint8 { return uint8(c) & 3 }
