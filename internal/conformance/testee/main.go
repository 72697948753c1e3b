package testee

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/rpcx-go/rpcx/internal/difftest"
	"github.com/rpcx-go/rpcx/runtime/codec"
)

// Main runs a testee on standard input and output.
func Main() {
	mistake := flag.String("break", "", "test a codec with a `mistake`: "+strings.Join(difftest.Mistakes(), ", "))
	flag.Parse()
	t := &Testee{Codec: codec.Proto}
	if *mistake != "" {
		var err error
		if t.Codec, err = difftest.Broken(*mistake); err != nil {
			fmt.Fprintln(os.Stderr, "testee:", err)
			os.Exit(2)
		}
	}
	err := t.Serve(bufio.NewReader(os.Stdin), os.Stdout)
	fmt.Fprintln(os.Stderr, t.Summary())
	if err != nil {
		fmt.Fprintln(os.Stderr, "testee:", err)
		os.Exit(1)
	}
}
