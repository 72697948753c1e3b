// Cluster is a small system of servers: users in three shards, each with a leader
// and a replica, found by etcd, and an interface server in front of them.
//
//	cluster                                     run all of it, and prove what it does
//
// That starts these, each as a process of its own:
//
//	cluster etcd  -dir DIR
//	cluster users -etcd URL -shard 0 -role leader -zone a -dir DIR
//	cluster front -etcd URL -zone a
//
// The protos are in proto/, the servers of users in users.go, store.go and
// follow.go, the interface server in front.go. What all servers have in common is
// in serve.go; the other files are the demonstration.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/rpcx-go/rpcx/runtime/address"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, w io.Writer) error {
	if len(args) == 0 {
		return demo(ctx, w)
	}
	serve, ok := map[string]func(context.Context, config, io.Writer) error{
		"etcd": serveEtcd, "users": serveUsers, "front": serveFront,
	}[args[0]]
	if !ok {
		return fmt.Errorf("%q is none of etcd, users and front", args[0])
	}
	var cfg config
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.StringVar(&cfg.etcd, "etcd", "", "`URL` of etcd")
	flags.IntVar(&cfg.shard, "shard", 0, "`number` of the shard")
	flags.StringVar(&cfg.role, "role", address.RoleLeader, "leader or replica")
	flags.StringVar(&cfg.zone, "zone", "", "`name` of the zone")
	flags.StringVar(&cfg.dir, "dir", ".", "`folder` for what has to outlive the process")
	withStdin := flags.Bool("with-stdin", false, "serve until standard input ends")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if *withStdin {
		// Ctrl-C reaches all processes of a terminal. Whoever started this one ends
		// it when no other needs it any more.
		signal.Ignore(os.Interrupt)
		ctx = untilEOF(ctx, os.Stdin)
	}
	return serve(ctx, cfg, w)
}

// untilEOF returns a context that also ends when r does.
func untilEOF(ctx context.Context, r io.Reader) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		// Whether it ends or fails, nobody is at the other end any more.
		_, _ = io.Copy(io.Discard, r)
	}()
	return ctx
}
