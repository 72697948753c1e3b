package difftest

import (
	"context"
	"fmt"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// RoundTrip compares so many random messages of each type. It goes on with the
// next type after an error, and returns all errors.
func RoundTrip(types []protoreflect.MessageType, each int, seed uint64) []error {
	var errs []error
	g := NewGenerator(types, seed)
	for _, mt := range types {
		for range each {
			if err := CheckMessage(g.Message(mt)); err != nil {
				errs = append(errs, fmt.Errorf("seed %d: %w", seed, err))
				break
			}
		}
	}
	return errs
}

// Inputs compares n random inputs, or fewer if ctx ends before that. It ends
// with the first error.
func Inputs(ctx context.Context, types []protoreflect.MessageType, n int, seed uint64) error {
	g := NewGenerator(types, seed)
	for range n {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := Check(g.Next()); err != nil {
			return fmt.Errorf("seed %d: %w", seed, err)
		}
	}
	return nil
}

// Fuzz is the body of a fuzz target over the given types. A number of each
// input chooses the type.
func Fuzz(f *testing.F, types []protoreflect.MessageType) {
	g := NewGenerator(types, 1)
	for i, mt := range types {
		f.Add(uint16(i), g.message(mt))
	}
	f.Fuzz(func(t *testing.T, number uint16, data []byte) {
		if err := Check(types[int(number)%len(types)], data); err != nil {
			t.Error(err)
		}
	})
}
