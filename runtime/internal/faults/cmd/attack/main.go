// Command attack measures what calls notice of somebody who opens and cancels
// streams of the same server as fast as that is paced:
//
//	go run ./runtime/internal/faults/cmd/attack
//
// The server is a process of its own. In every round the attacker first writes
// to a sink in that process, which reads and does nothing, and then to the
// server, while callers on a connection of their own make calls. The last line
// has the medians over the rounds:
//
//	attack: p99=V sink=V ratio=V
package main

import (
	"bufio"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

var (
	serve   = flag.Bool("serve", false, "be the server; for the program itself")
	rounds  = flag.Int("rounds", 5, "rounds of sink and server")
	streams = flag.Int("streams", 100_000, "streams that the attacker opens and cancels in all rounds together, either way")
	pace    = flag.Int("pace", 20_000, "streams that it opens and cancels in a second")
	callers = flag.Int("callers", 8, "callers beside it")
	limit   = flag.Int("limit", 64, "streams that the server lets a connection have")
)

func main() {
	log.SetFlags(0)
	flag.Parse()
	if *serve {
		beServer()
		return
	}
	if err := measure(); err != nil {
		log.Fatal("attack: ", err)
	}
}

// measure starts the server and prints what comes out.
func measure() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, append([]string{"-serve"}, os.Args[1:]...)...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe() // its end is the server's
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	said := bufio.NewScanner(stdout)
	if !said.Scan() {
		return fmt.Errorf("the server does not start: %w", cmd.Wait())
	}
	var addr, sink string
	if _, err := fmt.Sscan(said.Text(), &addr, &sink); err != nil {
		return err
	}
	if err := compare(addr, sink); err != nil {
		return err
	}
	if err := stdin.Close(); err != nil {
		return err
	}
	for said.Scan() {
		if strings.HasPrefix(said.Text(), "attack: ") {
			fmt.Println(said.Text())
		}
	}
	return cmd.Wait()
}

// compare runs the rounds and prints the medians.
func compare(addr, sink string) error {
	n := *streams / *rounds
	var p99s, sinks, ratios []time.Duration
	for round := range *rounds {
		quiet, err := beside(addr, sink, n)
		if err != nil {
			return err
		}
		loud, err := beside(addr, addr, n)
		if err != nil {
			return err
		}
		fmt.Printf("round %d: sink %v, server %v\n", round+1, quiet, loud)
		p99s, sinks = append(p99s, loud.p99), append(sinks, quiet.p99)
		ratios = append(ratios, loud.p99*1000/quiet.p99)
	}
	fmt.Printf("attack: p99=%v sink=%v ratio=%.2f\n", median(p99s), median(sinks), float64(median(ratios))/1000)
	return nil
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}
