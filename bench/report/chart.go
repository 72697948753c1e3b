package report

import (
	"fmt"
	"strings"
)

// chartCells are the cells that the chart has a panel for, with their titles.
var chartCells = []struct{ cell, title string }{
	{"unary/128/1", "unary 128 B, 1 caller"},
	{"unary/128/64", "unary 128 B, 64 callers"},
	{"unary/128/1000", "unary 128 B, 1,000 callers"},
	{"unary/65536/64", "unary 64 KiB, 64 callers"},
	{"sstream/128/1", "server stream 128 B"},
	{"bidi/128/1", "bidi stream 128 B"},
	{"sstream/1048576/1", "server stream 1 MiB"},
	{"tls/128/64", "unary 128 B over TLS, 64 callers"},
}

// The chart's measures, in pixels.
const (
	panelWidth  = 440
	nameWidth   = 96
	valueWidth  = 60
	barHeight   = 12
	barStep     = 16
	titleHeight = 26
	margin      = 14
)

type bar struct {
	name  string
	ratio float64
	color string
}

// chart returns an SVG with a panel per cell: calls per second of each peer,
// as a multiple of the baseline's.
func (r *Report) chart() string {
	var panels strings.Builder
	height := [2]int{margin, margin} // of the two columns so far
	for _, c := range chartCells {
		bars := r.bars(c.cell)
		if len(bars) == 0 {
			continue
		}
		column := 0
		if height[1] < height[0] {
			column = 1
		}
		x := margin + column*(panelWidth+margin)
		drawPanel(&panels, x, height[column], c.title, bars)
		height[column] += titleHeight + len(bars)*barStep + margin
	}
	width := 2*panelWidth + 3*margin
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">
<title>Calls or messages per second, as a multiple of %s</title>
<rect width="100%%" height="100%%" fill="#ffffff"/>
%s</svg>
`, width, max(height[0], height[1]), width, max(height[0], height[1]), r.Baseline, panels.String())
}

// bars returns what a panel shows.
func (r *Report) bars(cell string) []bar {
	var bars []bar
	for _, p := range r.Peers {
		ratio, ok := r.Ratio(cell, p.Name, r.Baseline, QPS)
		if !ok {
			continue
		}
		color := "#9aa5b1"
		switch {
		case p.Floor:
			color = "#d9c79a"
		case strings.HasPrefix(p.Name, goalPeer):
			color = "#2f6db5"
		}
		bars = append(bars, bar{label(p.Name), ratio, color})
	}
	return bars
}

func drawPanel(b *strings.Builder, x, y int, title string, bars []bar) {
	longest := 0.0
	for _, bar := range bars {
		longest = max(longest, bar.ratio)
	}
	fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\" font-size=\"13\" font-weight=\"bold\">%s</text>\n", x, y+14, title)
	y += titleHeight
	for _, bar := range bars {
		length := bar.ratio / longest * (panelWidth - nameWidth - valueWidth)
		fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>", x+nameWidth-6, y+10, bar.name)
		fmt.Fprintf(b, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>", x+nameWidth, y, max(1, length), barHeight, bar.color)
		fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%d\">%.2f</text>\n", float64(x+nameWidth)+length+5, y+10, bar.ratio)
		y += barStep
	}
}
