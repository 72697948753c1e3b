package report

import (
	"slices"
)

// A Report is everything that was measured, and how.
type Report struct {
	Go       string   `json:"go"`
	Platform string   `json:"platform"`
	CPUs     int      `json:"cpus"`
	Baseline string   `json:"baseline"`
	Rounds   int      `json:"rounds"`
	Seconds  float64  `json:"seconds"`
	Cells    []string `json:"cells"` // in the order of the report
	Peers    []Peer   `json:"peers"`
	Runs     []Run    `json:"runs"`
	Summary  []Row    `json:"summary"`
}

// A Peer is what reports know of one.
type Peer struct {
	Name  string `json:"name"`
	Floor bool   `json:"floor,omitempty"`
}

// A Figure is a metric of a peer in a cell over all rounds.
type Figure struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	// Ratio is the median of the rounds' ratios to the baseline. It is zero
	// for the baseline itself and where a round lacks it.
	Ratio float64 `json:"ratio,omitempty"`
}

// A Row is all figures of a peer in a cell.
type Row struct {
	Cell    string            `json:"cell"`
	Peer    string            `json:"peer"`
	Figures map[Metric]Figure `json:"figures"`
}

// Summarize fills in the summary: a row for each cell and peer that were run, in
// their order.
func (r *Report) Summarize() {
	r.Summary = nil
	for _, cell := range r.Cells {
		for _, peer := range r.Peers {
			rounds := r.roundsOf(cell, peer.Name)
			if len(rounds) == 0 {
				continue
			}
			row := Row{Cell: cell, Peer: peer.Name, Figures: map[Metric]Figure{}}
			for _, m := range Metrics {
				values := valuesOf(rounds, m)
				if len(values) == 0 {
					continue
				}
				f := Figure{Median: median(values), Min: slices.Min(values), Max: slices.Max(values)}
				if peer.Name != r.Baseline {
					f.Ratio, _ = r.Ratio(cell, peer.Name, r.Baseline, m)
				}
				row.Figures[m] = f
			}
			r.Summary = append(r.Summary, row)
		}
	}
}

// Median returns the median of a metric of a peer in a cell, and whether there
// are any values.
func (r *Report) Median(cell, peer string, m Metric) (float64, bool) {
	values := valuesOf(r.roundsOf(cell, peer), m)
	return median(values), len(values) > 0
}

// Ratio returns a peer's ratio to another, and whether there is one. It is taken
// within each round, where both met the same machine; the median is taken of that.
func (r *Report) Ratio(cell, peer, base string, m Metric) (float64, bool) {
	others := r.roundsOf(cell, base)
	var ratios []float64
	for round, figures := range r.roundsOf(cell, peer) {
		v, ok := figures[m]
		if b := others[round][m]; ok && b > 0 {
			ratios = append(ratios, v/b)
		}
	}
	return median(ratios), len(ratios) > 0
}

// roundsOf returns the figures of a peer in a cell by round.
func (r *Report) roundsOf(cell, peer string) map[int]Figures {
	rounds := map[int]Figures{}
	for _, run := range r.Runs {
		if run.Cell == cell && run.Peer == peer {
			rounds[run.Round] = run.Figures
		}
	}
	return rounds
}

func valuesOf(rounds map[int]Figures, m Metric) []float64 {
	var values []float64
	for _, figures := range rounds {
		if v, ok := figures[m]; ok {
			values = append(values, v)
		}
	}
	return values
}

// median returns the middle value, the mean of the middle two, or zero.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}
