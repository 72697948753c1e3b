package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/rpcx-go/rpcx/bench/report"
	"github.com/rpcx-go/rpcx/bench/workload"
)

func TestLeastDisturbed(t *testing.T) {
	for _, c := range []struct {
		others []float64 // of the runs, if they are made
		tries  int
		want   float64
		runs   int
	}{
		{[]float64{0.05, 0}, 3, 0.05, 1},
		{[]float64{0.5, 0.1, 0}, 3, 0.1, 2},
		{[]float64{0.5, 0.2, 0.3, 0}, 3, 0.2, 3},
		{[]float64{0.5, 0}, 1, 0.5, 1},
	} {
		runs := 0
		got, err := (&plan{tries: c.tries}).leastDisturbed(func() (report.Run, error) {
			runs++
			return report.Run{Others: c.others[runs-1]}, nil
		})
		if err != nil || got.Others != c.want || runs != c.runs {
			t.Errorf("of %v, %v was taken after %d runs, %v; want %v after %d", c.others, got.Others, runs, err, c.want, c.runs)
		}
	}
}

func TestPeersTakeTurns(t *testing.T) {
	only := func(k workload.Kind) []workload.Kind { return []workload.Kind{k} }
	p := plan{peers: []workload.Peer{{Name: "a", Kinds: only(workload.Unary)}, {Name: "b", Kinds: only(workload.Bidi)}, {Name: "c", Kinds: only(workload.Unary)}}}
	for round, want := range []string{"ac", "ca", "ac"} {
		got := ""
		for _, peer := range p.inTurn(round, workload.Cell{Kind: workload.Unary}) {
			got += peer.Name
		}
		if got != want {
			t.Errorf("round %d: %s, want %s", round, got, want)
		}
	}
	if got := p.inTurn(1, workload.Cell{Kind: workload.Slow}); got != nil {
		t.Errorf("peers of a cell that none supports are %v", got)
	}
}

// A run that breaks does not keep the others from being made.
func TestBrokenRuns(t *testing.T) {
	unary := []workload.Kind{workload.Unary}
	p := plan{
		cells: []workload.Cell{{Kind: workload.Unary, Bytes: 1, Callers: 1}}, rounds: 2,
		peers: []workload.Peer{{Name: "breaks", Kinds: unary}, {Name: "works", Kinds: unary}},
	}
	var out strings.Builder
	runs, err := p.run(t.Context(), &out, func(_ int, _ workload.Cell, peer string) (report.Run, error) {
		if peer == "breaks" {
			return report.Run{}, errors.New("no luck")
		}
		return report.Run{}, nil
	})
	if len(runs) != 2 || err == nil || !strings.Contains(err.Error(), "2 runs broke") {
		t.Errorf("%d runs, %v; want two, and two that broke", len(runs), err)
	}
	if lines := strings.Count(out.String(), "broke: no luck"); lines != 2 {
		t.Errorf("%d lines about broken runs, want 2:\n%s", lines, out.String())
	}
}
