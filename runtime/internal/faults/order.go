package faults

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/rpcx-go/rpcx/runtime/status"
)

// Kind says which method a call is of.
type Kind uint8

// The methods of the service.
const (
	Once   Kind = iota // unary, and must not run twice
	Repeat             // unary, and may run twice
	Inline             // unary, without side effects, run by the reading goroutine
	Up                 // the caller streams
	Down               // the callee streams
	Both               // both do; each message is answered at once
	Kinds              // how many there are
)

// String returns the kind's name.
func (k Kind) String() string {
	return [...]string{"Once", "Repeat", "Inline", "Up", "Down", "Both", "?"}[min(k, Kinds)]
}

// MayRepeat reports whether the handler may run twice for one call.
func (k Kind) MayRepeat() bool { return k == Repeat || k == Inline }

// Order says what a call does. The handler learns it from the call's metadata.
type Order struct {
	ID   uint64
	Kind Kind
	// Sends is how many messages a caller that streams sends, Answers how many a
	// callee that streams answers with. Both answers each message once.
	Sends, Answers int
	// SendSize and AnswerSize are bytes of each message.
	SendSize, AnswerSize int
	// Work is how long the handler takes, before its first answer.
	Work time.Duration
	// Code is the status that the handler ends with.
	Code status.Code

	// What the caller does; the handler is not told.

	// Timeout ends the call; it must be set. ByContext has the context say so.
	Timeout   time.Duration
	ByContext bool
	// CancelAfter cancels the call's context, if above zero.
	CancelAfter time.Duration
	// Leave has the caller close a stream of answers after so many, if above zero.
	Leave int
	// Pause is how long the caller waits before it takes each answer of a stream.
	Pause time.Duration
	// Patient says that nothing but the caller's own will may end the call early.
	Patient bool
	// Crowded says that the server may refuse the call, as handlers of calls that
	// were given up still run.
	Crowded bool
}

// String returns the order in short.
func (o Order) String() string {
	s := fmt.Sprintf("%v %d: %d×%d B up, %d×%d B down, work %v, timeout %v", o.Kind, o.ID, o.Sends, o.SendSize, o.Answers, o.AnswerSize, o.Work, o.Timeout)
	if o.CancelAfter > 0 {
		s += fmt.Sprintf(", cancel after %v", o.CancelAfter)
	}
	if o.Leave > 0 {
		s += fmt.Sprintf(", leave after %d", o.Leave)
	}
	if o.Code != status.OK {
		s += fmt.Sprintf(", fails with %v", o.Code)
	}
	return s
}

// orderSize is the length of an encoded order.
const orderSize = 8 + 1 + 4*4 + 8 + 1

func (o *Order) encode() string {
	b := make([]byte, 0, orderSize)
	b = binary.BigEndian.AppendUint64(b, o.ID)
	b = append(b, byte(o.Kind))
	for _, n := range [...]int{o.Sends, o.Answers, o.SendSize, o.AnswerSize} {
		b = binary.BigEndian.AppendUint32(b, uint32(n))
	}
	b = binary.BigEndian.AppendUint64(b, uint64(o.Work))
	b = append(b, byte(o.Code))
	return string(b)
}

func decodeOrder(s string) (o Order, err error) {
	if len(s) != orderSize {
		return o, fmt.Errorf("an order of %d bytes", len(s))
	}
	b := []byte(s)
	o.ID, o.Kind = binary.BigEndian.Uint64(b), Kind(b[8])
	for i, n := range [...]*int{&o.Sends, &o.Answers, &o.SendSize, &o.AnswerSize} {
		*n = int(binary.BigEndian.Uint32(b[9+4*i:]))
	}
	o.Work, o.Code = time.Duration(binary.BigEndian.Uint64(b[25:])), status.Code(b[33])
	return o, nil
}

// Who sends a message.
const (
	fromCaller = 'c'
	fromCallee = 's'
)

// bodyHead is what every message begins with: the call's id, who sends it, and
// its number.
const bodyHead = 8 + 1 + 4

// body returns the bytes of one message: nobody else's are the same.
func body(id uint64, from byte, n, size int) []byte {
	b := make([]byte, 0, max(size, bodyHead))
	b = binary.BigEndian.AppendUint64(b, id)
	b = append(b, from)
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	for tail := ramp(id, from, n); len(b) < size; {
		b = append(b, tail[:min(len(tail), size-len(b))]...)
	}
	return b
}

// ramps are the bytes from 0 up, twice.
var ramps = func() (all [512]byte) {
	for i := range all {
		all[i] = byte(i)
	}
	return all
}()

// ramp returns the 256 bytes that fill a message, again and again.
func ramp(id uint64, from byte, n int) []byte {
	x := byte(id*31) ^ from ^ byte(n*7)
	return ramps[x:][:256]
}

// verify says what is wrong with a message that should be body(id, from, n, size).
func verify(b []byte, id uint64, from byte, n, size int) error {
	if want := max(size, bodyHead); len(b) != want {
		return fmt.Errorf("message %d of call %d has %d bytes, want %d", n, id, len(b), want)
	}
	if got := binary.BigEndian.Uint64(b); got != id {
		return fmt.Errorf("message of call %d arrived at call %d", got, id)
	}
	if got := int(binary.BigEndian.Uint32(b[9:])); b[8] != from || got != n {
		return fmt.Errorf("call %d: message %c%d arrived as %c%d", id, b[8], got, from, n)
	}
	tail := ramp(id, from, n)
	for rest := b[bodyHead:]; len(rest) > 0; rest = rest[min(len(tail), len(rest)):] {
		if want := tail[:min(len(tail), len(rest))]; !bytes.Equal(rest[:len(want)], want) {
			return fmt.Errorf("call %d: message %c%d is not itself from byte %d on", id, from, n, len(b)-len(rest))
		}
	}
	return nil
}
