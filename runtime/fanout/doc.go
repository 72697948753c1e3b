// Package fanout calls several servers at once and makes one result of their
// answers: All wants every part to succeed, Quorum a number of them, First the
// first one, Each asks every instance of a Conn, Shard sends each element of a
// slice to the server that it belongs to.
//
//	profiles, err := fanout.All(ctx, conns, func(ctx context.Context, conn *rpcx.Conn) (*usersv1.Profile, error) {
//		return usersv1rpcx.NewUsersClient(conn).GetProfile(ctx, req)
//	})
//
// A part is one call of the function that is given, on a goroutine of its own.
// All parts have the same deadline: that of the context, and of WithTimeout. Once
// the result is certain, the context of the parts that still run is cancelled,
// and every function of this package waits for them: when it returns, nothing
// that it began still runs. So a part must end when its context does, as calls do.
//
// What fails is an *Error, which lists the parts that failed. A part that panics
// has the others cancelled, and the panic goes on in the goroutine of the caller,
// as a *Panic; so does runtime.Goexit.
package fanout
