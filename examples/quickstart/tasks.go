package main

import (
	"context"
	"sync"

	tasksv1 "github.com/rpcx-go/rpcx/examples/quickstart/gen/tasks/v1"
	"github.com/rpcx-go/rpcx/examples/quickstart/gen/tasks/v1/tasksv1rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
	"google.golang.org/protobuf/proto"
)

// tasks implements tasksv1rpcx.TasksServer. Its methods are called
// concurrently, each on a goroutine of its own.
type tasks struct {
	mu      sync.Mutex
	byID    []*tasksv1.Task // the task with ID 1 is the first
	byTitle map[string]*tasksv1.Task
	changes []*tasksv1.Task // a copy of a task for each change
	changed chan struct{}   // closed, and replaced, with each change
}

var _ tasksv1rpcx.TasksServer = (*tasks)(nil)

func newTasks() *tasks {
	return &tasks{byTitle: map[string]*tasksv1.Task{}, changed: make(chan struct{})}
}

// Create is unary: plain arguments, plain results.
func (t *tasks) Create(_ context.Context, req *tasksv1.CreateRequest) (*tasksv1.CreateResponse, error) {
	task, isNew, err := t.add(req.GetTitle())
	if err != nil {
		return nil, err
	}
	if !isNew {
		duplicate, err := status.New(status.AlreadyExists, "this task is on the list already").
			WithDetails(&tasksv1.Duplicate{Existing: task})
		if err != nil {
			return nil, err
		}
		return nil, duplicate
	}
	return &tasksv1.CreateResponse{Task: task}, nil
}

// Watch is server-streaming: it sends until the caller goes away.
func (t *tasks) Watch(ctx context.Context, _ *tasksv1.WatchRequest, stream rpcx.ServerStreamingServer[tasksv1.WatchResponse]) error {
	sent := 0
	for {
		changes, changed := t.changesAfter(sent)
		for _, task := range changes {
			if err := stream.Send(&tasksv1.WatchResponse{Task: task}); err != nil {
				return err
			}
		}
		sent += len(changes)
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Import is client-streaming: it reads to the end and answers once.
func (t *tasks) Import(_ context.Context, stream rpcx.ClientStreamingServer[tasksv1.ImportRequest]) (*tasksv1.ImportResponse, error) {
	var res tasksv1.ImportResponse
	for req, err := range stream.All() {
		if err != nil {
			return nil, err
		}
		_, isNew, err := t.add(req.GetTitle())
		switch {
		case err != nil:
			return nil, err
		case isNew:
			res.Created++
		default:
			res.Skipped++
		}
	}
	return &res, nil
}

// Sync is bidi-streaming: here each message is answered as it comes.
func (t *tasks) Sync(_ context.Context, stream rpcx.BidiStreamingServer[tasksv1.SyncRequest, tasksv1.SyncResponse]) error {
	for req, err := range stream.All() {
		if err != nil {
			return err
		}
		task, err := t.mark(req.GetId(), req.GetDone())
		if err != nil {
			return err
		}
		if err := stream.Send(&tasksv1.SyncResponse{Task: task}); err != nil {
			return err
		}
	}
	return nil
}

// add returns a copy of the task with that title and whether it is new.
func (t *tasks) add(title string) (*tasksv1.Task, bool, error) {
	if title == "" {
		return nil, false, status.Errorf(status.InvalidArgument, "a task needs a title")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if task, ok := t.byTitle[title]; ok {
		return proto.CloneOf(task), false, nil
	}
	task := &tasksv1.Task{Id: uint64(len(t.byID) + 1), Title: title}
	t.byID = append(t.byID, task)
	t.byTitle[title] = task
	return t.recordLocked(task), true, nil
}

// mark sets whether a task is done and returns a copy of it.
func (t *tasks) mark(id uint64, done bool) (*tasksv1.Task, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if id == 0 || id > uint64(len(t.byID)) {
		return nil, status.Errorf(status.NotFound, "there is no task %d", id)
	}
	task := t.byID[id-1]
	task.Done = done
	return t.recordLocked(task), nil
}

// recordLocked records a change, wakes those who watch, and returns a copy of
// the task that nobody changes any more.
func (t *tasks) recordLocked(task *tasksv1.Task) *tasksv1.Task {
	snapshot := proto.CloneOf(task)
	t.changes = append(t.changes, snapshot)
	close(t.changed)
	t.changed = make(chan struct{})
	return snapshot
}

// changesAfter returns the changes but for the first n, and what will be closed with the next one.
func (t *tasks) changesAfter(n int) ([]*tasksv1.Task, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changes[n:len(t.changes):len(t.changes)], t.changed
}
