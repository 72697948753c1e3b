// Package rpcx is what generated stubs and their users import: servers,
// connections, calls and typed streams.
//
// A server registers implementations of generated interfaces and serves them:
//
//	srv := rpcx.NewServer()
//	usersv1rpcx.RegisterUsersServer(srv, &users{})
//	err := srv.ListenAndServe(ctx, ":7000")
//
// A client dials and calls:
//
//	conn, err := rpcx.Dial("users.internal:7000")
//	user, err := usersv1rpcx.NewUsersClient(conn).Get(ctx, &usersv1.GetRequest{Id: 7})
//
// Errors of calls are in package status, key/values that travel with them in
// package metadata, interceptors and observers in package call, and what tests
// need in package rpcxtest.
package rpcx
