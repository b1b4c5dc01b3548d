package main

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// plot is a picture of cost against size, both on logarithmic axes.
type plot struct {
	file, title, unit string
	lines             []line
}

type line struct {
	name   string
	points []point
}

type point struct{ x, y float64 }

func (r *Report) plots() []plot {
	var all []plot
	for _, p := range []struct {
		file, title, unit, scenario string
		value                       func(Sample) float64
	}{
		{"unchanged.svg", "A run in which nothing changed", "wall time, s", unchanged, wall},
		{"first.svg", "The first apply", "wall time, s", first, wall},
		{"unchanged-memory.svg", "A run in which nothing changed", "peak memory, MB", unchanged, func(s Sample) float64 { return peak(s) / 1e6 }},
	} {
		made := plot{file: p.file, title: p.title, unit: p.unit}
		var names []string
		for _, s := range r.Samples {
			if s.Workload == "mix" && s.Scenario == p.scenario && !slices.Contains(names, s.Contestant) {
				names = append(names, s.Contestant)
			}
		}
		for _, name := range names {
			l := line{name: name}
			for _, size := range r.sizes {
				if those := r.of(name, "mix", size, p.scenario); len(those) > 0 {
					l.points = append(l.points, point{float64(size), median(each(those, p.value))})
				}
			}
			made.lines = append(made.lines, l)
		}
		all = append(all, made)
	}
	return all
}

// The picture's measures, in pixels.
const (
	width, height            = 830, 440
	left, right, top, bottom = 70, 300, 56, 52
)

// palette tells lines apart, also for those who do not see red from green.
func palette(i int) string {
	colours := []string{"#0b57a4", "#555555", "#c8102e", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#7a4b00"}
	return colours[i%len(colours)]
}

func (p plot) svg() string {
	xs, ys := decades(p, func(q point) float64 { return q.x }), decades(p, func(q point) float64 { return q.y })
	at := func(v float64, d [2]float64, from, to float64) float64 {
		return from + (math.Log10(v)-d[0])/(d[1]-d[0])*(to-from)
	}
	x := func(v float64) float64 { return at(v, xs, left, width-right) }
	y := func(v float64) float64 { return at(v, ys, height-bottom, top) }

	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="system-ui, sans-serif" font-size="13" role="img" aria-label="%s">`+"\n",
		width, height, width, height, html.EscapeString(p.title+": "+p.unit+" against the number of objects"))
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	fmt.Fprintf(&b, `<text x="%d" y="24" font-size="16" font-weight="600" fill="#111">%s</text>`+"\n", left, html.EscapeString(p.title))
	fmt.Fprintf(&b, `<text x="%d" y="43" fill="#555">%s</text>`+"\n", left, html.EscapeString(p.unit+" (logarithmic)"))
	for _, tick := range ticks(ys) {
		fmt.Fprintf(&b, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#e3e3e3"/>`, left, y(tick), width-right, y(tick))
		fmt.Fprintf(&b, `<text x="%d" y="%.1f" text-anchor="end" fill="#555">%s</text>`+"\n", left-8, y(tick)+4, number(tick))
	}
	for _, tick := range p.sizes() {
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#e3e3e3"/>`, x(tick), top, x(tick), height-bottom)
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle" fill="#555">%s</text>`+"\n", x(tick), height-bottom+18, thousands(int(tick)))
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle" fill="#555">objects</text>`+"\n", (left+width-right)/2, height-12)
	fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" fill="none" stroke="#999"/>`+"\n", left, top, width-left-right, height-top-bottom)
	labels := p.labels(y)
	for i, l := range p.lines {
		colour, thick := palette(i), 1.8
		if l.name == "tidemark" {
			thick = 3.2
		}
		var points []string
		for _, q := range l.points {
			points = append(points, fmt.Sprintf("%.1f,%.1f", x(q.x), y(q.y)))
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="%.1f" fill="%s"/>`, x(q.x), y(q.y), thick+1, colour)
		}
		fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="%.1f"/>`+"\n", strings.Join(points, " "), colour, thick)
		end := l.points[len(l.points)-1]
		fmt.Fprintf(&b, `<path d="M%.1f %.1f L%d %.1f" stroke="%s" stroke-width="0.8" stroke-dasharray="2 3" fill="none"/>`, x(end.x), y(end.y), width-right+8, labels[i]-4, colour)
		weight := 400
		if l.name == "tidemark" {
			weight = 700
		}
		fmt.Fprintf(&b, `<text x="%d" y="%.1f" fill="%s" font-weight="%d">%s: %s</text>`+"\n", width-right+12, labels[i], colour, weight, html.EscapeString(l.name), number(end.y))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// labels gives the height of each line's name beside the picture: at its end, and apart from the others.
func (p plot) labels(y func(float64) float64) []float64 {
	const apart = 17
	order := make([]int, len(p.lines))
	at := make([]float64, len(p.lines))
	for i, l := range p.lines {
		order[i], at[i] = i, y(l.points[len(l.points)-1].y)+4
	}
	slices.SortFunc(order, func(a, b int) int { return int(math.Copysign(1, at[a]-at[b])) })
	for i := 1; i < len(order); i++ {
		at[order[i]] = max(at[order[i]], at[order[i-1]]+apart)
	}
	// Those that were pushed out below push the others up.
	limit := float64(height - bottom)
	for _, i := range slices.Backward(order) {
		at[i] = min(at[i], limit)
		limit = at[i] - apart
	}
	return at
}

func (p plot) sizes() []float64 {
	var all []float64
	for _, l := range p.lines {
		for _, q := range l.points {
			if !slices.Contains(all, q.x) {
				all = append(all, q.x)
			}
		}
	}
	return all
}

// decades is the range of the values as powers of ten, with some air.
func decades(p plot, value func(point) float64) [2]float64 {
	least, most := math.Inf(1), math.Inf(-1)
	for _, l := range p.lines {
		for _, q := range l.points {
			least, most = min(least, math.Log10(value(q))), max(most, math.Log10(value(q)))
		}
	}
	return [2]float64{least - 0.12, most + 0.12}
}

// ticks are the round numbers in a range of powers of ten.
func ticks(d [2]float64) []float64 {
	var all []float64
	for power := math.Floor(d[0]); power <= d[1]; power++ {
		for _, step := range []float64{1, 2, 5} {
			if v := step * math.Pow(10, power); math.Log10(v) >= d[0] && math.Log10(v) <= d[1] {
				all = append(all, v)
			}
		}
	}
	return all
}

func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.3g", v)
	}
	return fmt.Sprintf("%.2g", v)
}
