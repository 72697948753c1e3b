// Package compat is what the roles of the conformance suite have in common: how
// its runner talks with them, and how its metadata and errors become ours.
package compat

import (
	"encoding/binary"
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"
)

// maxMessage bounds, in bytes, what the runner may send at once.
const maxMessage = 64 << 20

// Read fills msg with the next message of the runner's, which has its size
// before it. It returns io.EOF if there is none.
func Read(r io.Reader, msg proto.Message) error {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxMessage {
		return fmt.Errorf("the runner's message has %d bytes, more than %d", n, maxMessage)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return fmt.Errorf("the runner's message ends early: %w", err)
	}
	return proto.Unmarshal(b, msg)
}

// Write sends msg to the runner, in one call of w.
func Write(w io.Writer, msg proto.Message) error {
	b, err := proto.MarshalOptions{}.MarshalAppend(make([]byte, 4), msg)
	if err != nil {
		return err
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	_, err = w.Write(b)
	return err
}
