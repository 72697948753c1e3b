//go:build !linux

package transport

import "errors"

// vectored says that a socket can be written from several places at once.
const vectored = false

type gather struct{}

func (*gather) write(uintptr, *batch) (int, error) { return 0, errors.ErrUnsupported }
