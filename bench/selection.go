package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/rpcx-go/rpcx/bench/workload"
)

// The cells of a whole run, and those of a run that only shows that all works.
const (
	wholeCells = "unary/128/1,unary/128/64,unary/128/1000," +
		"unary/1024/1,unary/1024/64,unary/1024/1000," +
		"unary/65536/1,unary/65536/64,unary/65536/1000," +
		"sstream/128/1,bidi/128/1,bidi/128/16,sstream/1048576/1," +
		"mixed/128/16,tls/128/64,unix/128/64,short/128/16," +
		"idle/128/10000,slow/128/2000"
	smokeCells = "unary/128/8,unary/65536/4,sstream/128/1,bidi/128/2,sstream/1048576/1," +
		"mixed/128/4,tls/128/4,unix/128/4,short/128/4,idle/128/20,slow/128/20"
)

// selectCells returns the cells that a list names: each item is a cell, or a
// regular expression that matches whole cells of those known.
func selectCells(list string, known []workload.Cell) ([]workload.Cell, error) {
	var cells []workload.Cell
	for _, item := range strings.Split(list, ",") {
		if cell, err := workload.ParseCell(item); err == nil {
			cells = append(cells, cell)
			continue
		}
		matched, err := matching(item, known, workload.Cell.String)
		if err != nil {
			return nil, fmt.Errorf("cells: %w", err)
		}
		cells = append(cells, matched...)
	}
	return unique(cells, workload.Cell.String), nil
}

// selectPeers returns the peers that a list of regular expressions names, in
// the order of reports.
func selectPeers(list string, known []workload.Peer) ([]workload.Peer, error) {
	name := func(p workload.Peer) string { return p.Name }
	chosen := map[string]bool{}
	for _, item := range strings.Split(list, ",") {
		matched, err := matching(item, known, name)
		if err != nil {
			return nil, fmt.Errorf("peers: %w", err)
		}
		for _, p := range matched {
			chosen[p.Name] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(known), func(p workload.Peer) bool { return !chosen[p.Name] }), nil
}

// matching returns the values whose whole name matches a regular expression,
// and an error if there are none.
func matching[T any](expr string, values []T, name func(T) string) ([]T, error) {
	whole, err := regexp.Compile("^(?:" + expr + ")$")
	if err != nil {
		return nil, err
	}
	var matched []T
	var names []string
	for _, v := range values {
		names = append(names, name(v))
		if whole.MatchString(name(v)) {
			matched = append(matched, v)
		}
	}
	if len(matched) == 0 {
		return nil, fmt.Errorf("%q matches none of %s", expr, strings.Join(names, ", "))
	}
	return matched, nil
}

// unique returns the values without those whose name has been there before.
func unique[T any](values []T, name func(T) string) []T {
	seen := map[string]bool{}
	return slices.DeleteFunc(values, func(v T) bool {
		before := seen[name(v)]
		seen[name(v)] = true
		return before
	})
}
