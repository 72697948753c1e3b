package main

import (
	"slices"
	"testing"

	"github.com/rpcx-go/rpcx/bench/workload"
)

func TestSelectCells(t *testing.T) {
	known, err := selectCells("unary/128/1,unary/128/64,bidi/128/1", nil)
	if err != nil {
		t.Fatal(err)
	}
	for list, want := range map[string][]string{
		".*":                   {"unary/128/1", "unary/128/64", "bidi/128/1"},
		"unary/128/.*":         {"unary/128/1", "unary/128/64"},
		"(unary|bidi)/128/1":   {"unary/128/1", "bidi/128/1"},
		"tls/7/3,unary/.*":     {"tls/7/3", "unary/128/1", "unary/128/64"},
		"bidi/.*,.*":           {"bidi/128/1", "unary/128/1", "unary/128/64"},
		"bidi/128/1,unary/9/9": {"bidi/128/1", "unary/9/9"},
	} {
		cells, err := selectCells(list, known)
		if err != nil {
			t.Errorf("%s: %v", list, err)
		}
		var got []string
		for _, c := range cells {
			got = append(got, c.String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s selects %v, want %v", list, got, want)
		}
	}
	for _, list := range []string{"", "unary", "unary/.*,sstream/.*", "("} {
		if cells, err := selectCells(list, known); err == nil {
			t.Errorf("%q selects %v, want an error", list, cells)
		}
	}
}

func TestSelectPeers(t *testing.T) {
	known := []workload.Peer{{Name: "rpcx"}, {Name: "rpcx-inline"}, {Name: "grpc"}}
	for list, want := range map[string][]string{
		".*":          {"rpcx", "rpcx-inline", "grpc"},
		"rpcx|grpc":   {"rpcx", "grpc"},
		"grpc,rpcx.*": {"rpcx", "rpcx-inline", "grpc"},
	} {
		peers, err := selectPeers(list, known)
		if err != nil {
			t.Errorf("%s: %v", list, err)
		}
		var got []string
		for _, p := range peers {
			got = append(got, p.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s selects %v, want %v", list, got, want)
		}
	}
	if peers, err := selectPeers("rpc", known); err == nil {
		t.Errorf("half a name selects %v, want an error", peers)
	}
}

// Every peer takes part in something, and every cell of the usual lists has
// rpcx, the baseline and, where there is one, a floor.
func TestCellsHavePeers(t *testing.T) {
	for _, list := range []string{wholeCells, smokeCells} {
		cells, err := selectCells(list, nil)
		if err != nil {
			t.Fatal(err)
		}
		used := map[string]bool{}
		for _, cell := range cells {
			here := map[string]bool{}
			for _, p := range workload.Peers() {
				if p.Supports(cell) {
					used[p.Name], here[p.Name] = true, true
				}
			}
			if !here["rpcx"] || !here["grpc"] {
				t.Errorf("%s has only %v", cell, here)
			}
		}
		for _, p := range workload.Peers() {
			if !used[p.Name] {
				t.Errorf("no cell of %s is for %s", list, p.Name)
			}
		}
	}
}
