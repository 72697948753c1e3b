package main

import (
	"context"
	"fmt"
	"io"
	"time"

	tasksv1 "github.com/rpcx-go/rpcx/examples/quickstart/gen/tasks/v1"
	"github.com/rpcx-go/rpcx/examples/quickstart/gen/tasks/v1/tasksv1rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// call calls each method of the server at addr and writes the answers to w.
func call(ctx context.Context, addr string, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()

	conn, err := rpcx.Dial(addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	client := tasksv1rpcx.NewTasksClient(conn)

	for _, step := range []func(context.Context, tasksv1rpcx.TasksClient, io.Writer) error{
		createTask, createAgain, importTasks, syncTasks, watchTasks,
	} {
		if err := step(ctx, client, w); err != nil {
			return err
		}
	}
	return nil
}

// createTask makes a unary call.
func createTask(ctx context.Context, client tasksv1rpcx.TasksClient, w io.Writer) error {
	res, err := client.Create(ctx, &tasksv1.CreateRequest{Title: "read the quickstart"})
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	fmt.Fprintf(w, "unary:            created %s\n", describe(res.GetTask()))
	return nil
}

// createAgain makes a unary call that fails, and looks into the error.
func createAgain(ctx context.Context, client tasksv1rpcx.TasksClient, w io.Writer) error {
	_, err := client.Create(ctx, &tasksv1.CreateRequest{Title: "read the quickstart"})
	if status.CodeOf(err) != status.AlreadyExists {
		return fmt.Errorf("create again: want ALREADY_EXISTS, got %w", err)
	}
	duplicate, ok := status.DetailAs[*tasksv1.Duplicate](err)
	if !ok {
		return fmt.Errorf("create again: no Duplicate in %w", err)
	}
	fmt.Fprintf(w, "typed error:      %v: %s\n", err, describe(duplicate.GetExisting()))
	return nil
}

// importTasks sends a stream and gets one answer.
func importTasks(ctx context.Context, client tasksv1rpcx.TasksClient, w io.Writer) error {
	stream, err := client.Import(ctx)
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	for _, title := range []string{"read the quickstart", "write a proto", "run buf generate"} {
		// io.EOF says that the server has ended the call early; CloseAndRecv tells why.
		if err := stream.Send(&tasksv1.ImportRequest{Title: title}); err == io.EOF {
			break
		} else if err != nil {
			return fmt.Errorf("import: %w", err)
		}
	}
	res, err := stream.CloseAndRecv()
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	fmt.Fprintf(w, "client streaming: created %d, skipped %d\n", res.GetCreated(), res.GetSkipped())
	return nil
}

// syncTasks sends and receives by turns.
func syncTasks(ctx context.Context, client tasksv1rpcx.TasksClient, w io.Writer) error {
	stream, err := client.Sync(ctx)
	if err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	defer stream.Close()
	for _, id := range []uint64{1, 2} {
		if err := stream.Send(&tasksv1.SyncRequest{Id: id, Done: true}); err != nil && err != io.EOF {
			return fmt.Errorf("sync: %w", err)
		}
		res, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("sync: %w", err)
		}
		fmt.Fprintf(w, "bidi streaming:   marked %s\n", describe(res.GetTask()))
	}
	if err := stream.CloseSend(); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	if _, err := stream.Recv(); err != io.EOF {
		return fmt.Errorf("sync: want the end of the stream, got %w", err)
	}
	return nil
}

// watchTasks receives a stream until it has seen enough.
func watchTasks(ctx context.Context, client tasksv1rpcx.TasksClient, w io.Writer) error {
	stream, err := client.Watch(ctx, &tasksv1.WatchRequest{})
	if err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	seen := 0
	for change, err := range stream.All() {
		if err != nil {
			return fmt.Errorf("watch: %w", err)
		}
		fmt.Fprintf(w, "server streaming: %s\n", describe(change.GetTask()))
		if seen++; seen == 5 {
			break // releases the stream: the server's handler ends
		}
	}
	return nil
}

func describe(task *tasksv1.Task) string {
	state := "to do"
	if task.GetDone() {
		state = "done"
	}
	return fmt.Sprintf("%d %q (%s)", task.GetId(), task.GetTitle(), state)
}
