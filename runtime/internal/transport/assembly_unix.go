//go:build unix

package transport

import (
	"io"
	"syscall"
)

// read reads at most n bytes without blocking, and keeps no memory from being
// given up while there are none. It reads none if there is no room.
func (a *assembly) read(fd, n int) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	room := a.roomLocked(n)
	if len(room) == 0 {
		return 0, nil
	}
	for {
		n, err := syscall.Read(fd, room)
		switch {
		case err == syscall.EINTR:
			continue
		case err == nil && n == 0:
			err = io.EOF
		case n > 0:
			a.filledLocked(n)
		}
		return n, err
	}
}

// roomLocked returns memory for at most n bytes more. There may be less, or none.
func (a *assembly) roomLocked(n int) []byte {
	b := a.lastLocked()
	if b == nil {
		return nil
	}
	return (*b)[len(*b):min(cap(*b), len(*b)+n)]
}

// filledLocked says that n more bytes have arrived in the memory of roomLocked.
func (a *assembly) filledLocked(n int) {
	b := a.lastLocked()
	*b = (*b)[:len(*b)+n]
	a.arrived += n
}

// lastLocked returns the memory that is filled next, nil if there is none.
func (a *assembly) lastLocked() *[]byte {
	if a.whole != nil {
		return &a.whole
	}
	for i := range a.parts {
		if p := &a.parts[i]; len(*p) < cap(*p) {
			return p
		}
	}
	return nil
}
