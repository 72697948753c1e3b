package address

import (
	"fmt"
	"slices"
	"testing"
)

// BenchmarkTable is what the choice of maglev rests on: it reports the cost of a
// look-up and of building, the share of keys that move without need when one node
// leaves, and the largest share of a node relative to the mean.
func BenchmarkTable(b *testing.B) {
	kinds := map[string]func(nodes []*Node) func(uint64) uint32{
		"maglev": func(nodes []*Node) func(uint64) uint32 {
			m := newMaglev(nodes)
			return func(key uint64) uint32 { return m.find(mix(key)) }
		},
		"ring160":  func(nodes []*Node) func(uint64) uint32 { return newRing(nodes, 160).find },
		"ring1024": func(nodes []*Node) func(uint64) uint32 { return newRing(nodes, 1024).find },
	}
	for _, n := range []int{20, 100, 1000} {
		nodes := testNodes(n)
		for name, build := range kinds {
			b.Run(fmt.Sprintf("build/%s/%d", name, n), func(b *testing.B) {
				for b.Loop() {
					build(nodes)
				}
			})
			b.Run(fmt.Sprintf("find/%s/%d", name, n), func(b *testing.B) {
				all, fewer := build(nodes), build(nodes[:n-1])
				counts, moved := make([]int, n), 0
				const keys = 1 << 20
				for k := range uint64(keys) {
					was := all(k)
					counts[was]++
					if int(was) != n-1 && fewer(k) != was {
						moved++
					}
				}
				k := uint64(0)
				for b.Loop() {
					k++
					all(k)
				}
				b.ReportMetric(100*float64(moved)/keys, "%moved")
				b.ReportMetric(float64(slices.Max(counts)*n)/keys, "max/mean")
			})
		}
	}
}
