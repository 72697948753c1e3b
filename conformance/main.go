// Conformance runs Connect's conformance suite against rpcx:
//
//	cd conformance && go run .
//
// The suite's runner calls a server of ours over HTTP, in all protocols, with its
// own client and with grpc-go's, and a client of ours calls its servers. Then it
// has our client call our server over the native protocol, of which it expects the
// same. There is no list of failures that are known. It ends with
//
//	conformance-native: cases=N failed=0
//	conformance-connect: server=N client=M failed=0
//
// where the last line's failed counts all. With -short there are fewer combinations
// of HTTP's versions, protocols, codecs, compressions and TLS, but each pair of
// them. Programs that make a mistake are run, too, and have to fail.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
)

func main() {
	var c config
	flag.BoolVar(&c.short, "short", false, "leave out combinations of which each pair occurs elsewhere")
	flag.StringVar(&c.work, "work", "../.work/connect", "the `folder` to work in")
	flag.StringVar(&c.only, "run", "", "run only the cases that match the runner's `pattern`, such as 'Timeouts/**'")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, "conformance-connect:", err)
		os.Exit(1)
	}
}

type config struct {
	short bool
	work  string
	only  string
}

// role is a program of ours in the suite, or two.
type role struct {
	name string
	// client and server are their commands; the runner has its own for those
	// that are left out.
	client, server []string
	// config is what the roles can; short is a part of it.
	config, short string
	// least is how many cases there have to be, so that none is left out unnoticed.
	least, leastShort int
	// neutral has the suites rewritten, see neutralSuites.
	neutral bool
}

// roles are what is tested, by the names in the summary.
var roles = []role{
	{
		name:   "server",
		server: []string{"server"},
		config: "http.yaml", short: "pairs.yaml",
		least: 5554, leastShort: 1025,
	},
	{
		name:   "client",
		client: []string{"client"},
		config: "http.yaml", short: "pairs.yaml",
		least: 6920, leastShort: 1274,
	},
	{
		name:   "native",
		client: []string{"client", "-native"}, server: []string{"server", "-native"},
		config: "native.yaml", short: "native.yaml",
		least: 1828, leastShort: 1828,
		neutral: true,
	},
}

func run(ctx context.Context, c config) (err error) {
	if _, err := os.Stat("http.yaml"); err != nil {
		return fmt.Errorf("run it in the folder conformance: %w", err)
	}
	if c.work, err = filepath.Abs(c.work); err != nil {
		return err
	}
	p, err := build(ctx, c.work)
	if err != nil {
		return err
	}
	if err := p.selfCheck(ctx); err != nil {
		return err
	}
	cases, failed := map[string]int{}, 0
	for _, r := range roles {
		sum, err := p.run(ctx, r, c)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		cases[r.name] = sum.cases
		failed += sum.failed
		fmt.Printf("conformance-%s: cases=%d failed=%d\n", r.name, sum.cases, sum.failed)
	}
	fmt.Printf("conformance-connect: server=%d client=%d failed=%d\n", cases["server"], cases["client"], failed)
	if failed > 0 {
		return errors.New("cases fail")
	}
	return nil
}
