package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	usersv1 "github.com/rpcx-go/rpcx/examples/cluster/gen/users/v1"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"
)

// store holds the users of a shard: all changes in order, of which the one with
// version 1 is the first, and what came of them. Users in it never change, so
// that they may be sent without being copied.
type store struct {
	mu      sync.Mutex
	changes []*usersv1.User
	byID    map[string]*usersv1.User
	changed chan struct{} // closed, and replaced, with each change
	log     io.Writer     // where changes are kept; nil if that is up to others
}

// newStore returns an empty store that nothing keeps: that of a replica.
func newStore() *store {
	return &store{byID: map[string]*usersv1.User{}, changed: make(chan struct{})}
}

// openStore returns a store with the changes in a file, which gets all further
// ones: that of a leader. Nobody closes the file; its writes are not buffered.
func openStore(path string) (*store, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	s := newStore()
	for in := bufio.NewReader(file); ; {
		user := new(usersv1.User)
		if err := protodelim.UnmarshalFrom(in, user); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("%s: change %d: %w", path, s.version()+1, err)
		}
		if err := s.apply(user); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	s.log = file
	return s, nil
}

// put makes a change of a user, and returns its version.
func (s *store) put(user *usersv1.User) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	user = proto.CloneOf(user)
	user.Version = uint64(len(s.changes)) + 1
	return user.GetVersion(), s.applyLocked(user)
}

// apply makes a change that has a version: the one that comes next.
func (s *store) apply(user *usersv1.User) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.applyLocked(user)
}

func (s *store) applyLocked(user *usersv1.User) error {
	if next := uint64(len(s.changes)) + 1; user.GetVersion() != next {
		return fmt.Errorf("a change of version %d, where %d comes next", user.GetVersion(), next)
	}
	if s.log != nil {
		if _, err := protodelim.MarshalTo(s.log, user); err != nil {
			return err
		}
	}
	s.changes = append(s.changes, user)
	s.byID[user.GetId()] = user
	close(s.changed)
	s.changed = make(chan struct{})
	return nil
}

// get returns a user, or nil.
func (s *store) get(id string) *usersv1.User {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[id]
}

// version returns that of the latest change.
func (s *store) version() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return uint64(len(s.changes))
}

// after returns the changes that come after a version, and what will be closed
// with the next one.
func (s *store) after(version uint64) ([]*usersv1.User, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := min(version, uint64(len(s.changes)))
	return s.changes[from:len(s.changes):len(s.changes)], s.changed
}
