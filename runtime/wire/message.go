package wire

import (
	"bytes"
	"fmt"
	"slices"
)

// Message is a message with generated glue.
type Message interface {
	// Reset makes the message empty.
	Reset()
	// SizeRPCX returns how many bytes the message has on the wire.
	SizeRPCX() int
	// PutRPCX puts the message's fields.
	PutRPCX(b Buffer) Buffer
	// ParseRPCX merges the fields in b into the message, and returns how many
	// bytes it took, or a negative number that says what is wrong.
	ParseRPCX(b []byte, p Parser) int
	// InfoRPCX returns what is known of the message's type.
	InfoRPCX() Info
}

// Checker is a Message that may lack required fields.
type Checker interface {
	// CheckRPCX returns an error that names a required field that is not set.
	CheckRPCX() error
}

// Mode is how a message is put.
type Mode uint8

const (
	// Deterministic has maps put in the order of their keys.
	Deterministic Mode = 1 << iota
	// Partial accepts that required fields are missing.
	Partial

	// What goes wrong while a message is put.
	lacks
	badText
	failed
)

// MarshalOptions is how a message becomes bytes. The zero value is what the
// glue's own methods do.
type MarshalOptions struct {
	// Deterministic gives equal messages equal bytes, within one build of the
	// program: maps are put in the order of their keys. Default: false.
	Deterministic bool
	// AllowPartial accepts messages that lack required fields. Default: false.
	AllowPartial bool
}

// Append appends m's bytes to b. It fails, and returns b as it was, if a text is
// not UTF-8, if a required field is missing, and if m is seen to change
// meanwhile, which it must not: it may panic then. Bytes of b's capacity that are
// not used may be overwritten.
func (o MarshalOptions) Append(b []byte, m Message) ([]byte, error) {
	return appendMessage(b, m, o.mode())
}

// AppendSize is Append for a message whose size is known: size is what
// m.SizeRPCX returned just before. No other byte of b's capacity is overwritten.
func (o MarshalOptions) AppendSize(b []byte, m Message, size int) ([]byte, error) {
	return appendSize(b, m, size, o.mode())
}

func (o MarshalOptions) mode() Mode {
	var mode Mode
	if o.Deterministic {
		mode |= Deterministic
	}
	if o.AllowPartial {
		mode |= Partial
	}
	return mode
}

// Append appends m's bytes to b; see [MarshalOptions.Append].
func Append(b []byte, m Message) ([]byte, error) { return appendMessage(b, m, 0) }

// appendMessage puts m at the end of b's capacity and moves it to where it
// belongs, which takes less than to compute its size first. Without room it is
// at least counted.
func appendMessage(b []byte, m Message, o Mode) ([]byte, error) {
	room := cap(b) - len(b)
	if room == 0 {
		return appendSize(b, m, m.SizeRPCX(), o)
	}
	free := b[len(b):cap(b)]
	put := m.PutRPCX(NewBuffer(free, o))
	if put.left < 0 {
		return appendSize(b, m, room-put.left, o)
	}
	if put.mode != o {
		if err := putError(m, put.mode); err != nil {
			return b, err
		}
	}
	return b[:len(b)+copy(free, free[put.left:])], nil
}

// appendSize puts the size bytes of m behind b.
func appendSize(b []byte, m Message, size int, o Mode) ([]byte, error) {
	n := len(b)
	if b == nil {
		b = make([]byte, 0, size)
	} else if cap(b)-n < size {
		b = slices.Grow(b, size)
	}
	put := m.PutRPCX(NewBuffer(b[n:n+size], o))
	if put.left != 0 {
		return b[:n], fmt.Errorf("wire: %T cannot be marshalled: %w", m, ErrChanged)
	}
	if put.mode != o {
		if err := putError(m, put.mode); err != nil {
			return b[:n], err
		}
	}
	return b[:n+size], nil
}

// UnmarshalOptions is how bytes become a message. The zero value is what the
// glue's own methods do.
type UnmarshalOptions struct {
	// Alias lets the message refer to the bytes that it is parsed from, which
	// must not be changed afterwards. Default: false, everything is copied.
	Alias bool
	// Merge adds to what the message holds. Default: false, it is reset.
	Merge bool
	// AllowPartial accepts messages that lack required fields. Default: false.
	AllowPartial bool
}

// Unmarshal fills m from b. Nesting is limited to [MaxNesting]. If it fails, what
// m holds is undefined.
func (o UnmarshalOptions) Unmarshal(b []byte, m Message) error {
	if !o.Merge {
		m.Reset()
	}
	info := m.InfoRPCX()
	src, alias := b, aliasNone
	if o.Alias {
		alias = aliasing(len(b))
	} else if info&(HasText|OneText) == HasText && len(b) <= maxPiece {
		// One copy to alias is faster than one for each text.
		src, alias = bytes.Clone(b), aliasAll
	}
	if i := m.ParseRPCX(src, newParser(alias, MaxNesting)); i < 0 {
		return parseError(m, len(b), i)
	}
	if info&MayLack != 0 && !o.AllowPartial {
		return m.(Checker).CheckRPCX()
	}
	return nil
}

// Unmarshal resets m and fills it from b, which it does not keep.
func Unmarshal(b []byte, m Message) error { return UnmarshalOptions{}.Unmarshal(b, m) }
