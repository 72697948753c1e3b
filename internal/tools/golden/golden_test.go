package main

import (
	"context"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
	usersv1 "github.com/rpcx-go/rpcx/testdata/gen/users"
	"github.com/rpcx-go/rpcx/testdata/gen/users/usersv1rpcx"
	"github.com/rpcx-go/rpcx/testdata/gen/users/usersv1rpcxtest"
)

// TestDescriptors checks what generated code says of each method.
func TestDescriptors(t *testing.T) {
	want := []rpcx.MethodSpec{
		{Service: "golden.users.v1.Users", Name: "Get", Idempotency: rpcx.NoSideEffects, NonBlocking: true},
		{Service: "golden.users.v1.Users", Name: "Delete", Idempotency: rpcx.Idempotent},
		{Service: "golden.users.v1.Users", Name: "Watch", Kind: rpcx.ServerStream},
		{Service: "golden.users.v1.Users", Name: "Import", Kind: rpcx.ClientStream},
		{Service: "golden.users.v1.Users", Name: "Sync", Kind: rpcx.BidiStream},
	}
	var got []rpcx.MethodSpec
	usersv1rpcx.RegisterUsersServer(registrar(func(handlers ...rpcx.Handler) {
		for _, h := range handlers {
			m := h.Method
			got = append(got, rpcx.MethodSpec{
				Service: m.Service(), Name: m.Name(), Kind: m.Kind(), Idempotency: m.Idempotency(), NonBlocking: m.NonBlocking(),
			})
		}
	}), usersv1rpcx.UnimplementedUsersServer{})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("registered methods (-want +got):\n%s", diff)
	}
	if got, want := usersv1rpcx.UsersGetProcedure, "/"+usersv1rpcx.UsersName+"/Get"; got != want {
		t.Errorf("UsersGetProcedure = %q, want %q", got, want)
	}
}

type registrar func(...rpcx.Handler)

func (r registrar) Register(handlers ...rpcx.Handler) { r(handlers...) }

// TestFake calls a generated fake through the generated client, and so runs
// the generated code of all four kinds on both sides.
func TestFake(t *testing.T) {
	ctx := t.Context()
	fake := &usersv1rpcxtest.Users{
		GetFunc: func(_ context.Context, req *usersv1.GetRequest) (*usersv1.User, error) {
			return &usersv1.User{Id: req.GetId()}, nil
		},
		WatchFunc: func(_ context.Context, _ *usersv1.WatchRequest, stream rpcx.ServerStreamingServer[usersv1.Change]) error {
			for id := range int64(3) {
				if err := stream.Send(&usersv1.Change{User: &usersv1.User{Id: id}}); err != nil {
					return err
				}
			}
			return nil
		},
		ImportFunc: func(_ context.Context, stream rpcx.ClientStreamingServer[usersv1.User]) (*usersv1.ImportResponse, error) {
			res := new(usersv1.ImportResponse)
			for _, err := range stream.All() {
				if err != nil {
					return nil, err
				}
				res.Count++
			}
			return res, nil
		},
		SyncFunc: func(_ context.Context, stream rpcx.BidiStreamingServer[usersv1.Change, usersv1.Change]) error {
			for change, err := range stream.All() {
				if err != nil {
					return err
				}
				if err := stream.Send(change); err != nil {
					return err
				}
			}
			return nil
		},
	}
	client := fake.Client()

	user, err := client.Get(ctx, &usersv1.GetRequest{Id: 7})
	if err != nil || user.GetId() != 7 {
		t.Errorf("Get = %v, %v; want the user 7", user, err)
	}
	if calls := fake.GetCalls(); len(calls) != 1 || calls[0].GetId() != 7 {
		t.Errorf("GetCalls = %v, want one of 7", calls)
	}

	watch, err := client.Watch(ctx, &usersv1.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var ids []int64
	for change, err := range watch.All() {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, change.GetUser().GetId())
	}
	if diff := cmp.Diff([]int64{0, 1, 2}, ids); diff != "" {
		t.Errorf("Watch (-want +got):\n%s", diff)
	}

	imports, err := client.Import(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := imports.Send(&usersv1.User{}); err != nil {
			t.Fatal(err)
		}
	}
	if res, err := imports.CloseAndRecv(); err != nil || res.GetCount() != 2 {
		t.Errorf("Import = %v, %v; want a count of 2", res, err)
	}
	if n := fake.ImportCalls(); n != 1 {
		t.Errorf("ImportCalls = %d, want 1", n)
	}

	sync, err := client.Sync(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := sync.Send(&usersv1.Change{User: &usersv1.User{Id: 9}}); err != nil {
		t.Fatal(err)
	}
	if change, err := sync.Recv(); err != nil || change.GetUser().GetId() != 9 {
		t.Errorf("Sync = %v, %v; want user 9", change, err)
	}
	if err := sync.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := sync.Recv(); err != io.EOF {
		t.Errorf("Recv at the end = %v, want io.EOF", err)
	}
}

// TestUnset checks how a method answers that nobody has implemented.
func TestUnset(t *testing.T) {
	fake := new(usersv1rpcxtest.Users)
	_, err := fake.Client().Get(t.Context(), &usersv1.GetRequest{})
	if want := "Users.GetFunc is not set"; status.CodeOf(err) != status.Unimplemented || status.FromError(err).Message() != want {
		t.Errorf("fake: %v; want UNIMPLEMENTED: %s", err, want)
	}
	_, err = usersv1rpcx.UnimplementedUsersServer{}.Get(t.Context(), &usersv1.GetRequest{})
	if status.CodeOf(err) != status.Unimplemented {
		t.Errorf("UnimplementedUsersServer: %v; want UNIMPLEMENTED", err)
	}
}
