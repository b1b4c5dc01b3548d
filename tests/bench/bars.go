package main

import (
	"encoding/json"
	"fmt"
	"math"
)

// Bar is one line of what the project promises of its cost.
type Bar struct {
	What string `json:"what"`
	// Value is what was measured; it meets the bar when it is not above Most.
	Value float64 `json:"value"`
	Most  float64 `json:"most"`
	Unit  string  `json:"unit,omitempty"`
	// How tells what the value was made of.
	How      string `json:"how"`
	Measured bool   `json:"measured"`
}

func (b Bar) met() bool { return b.Measured && b.Value <= b.Most }

// cost is what Tidemark's record says of itself, as far as the bars ask.
type cost struct {
	Renders  int64
	GitBytes int64
	Fetches  []struct{ Way, Note string }
}

func costOf(s Sample) (c cost, known bool) {
	return c, len(s.Record) > 0 && json.Unmarshal(s.Record, &c) == nil
}

// bars holds what was measured against what is promised. Ratios are made round by round, of runs that were neighbours in
// time, and then their median is taken.
func (r *Report) bars() []Bar {
	small, middle, large := r.sizes[0], r.sizes[1], r.sizes[2]
	return []Bar{
		r.againstPeers(middle),
		r.againstParts(large),
		r.requests(small, middle, large),
		r.againstFloor("tidemark, no dry run", middle, 1.25, "dry run off"),
		r.againstFloor("tidemark", middle, 2.4, "with dry run"),
		r.oneOfMany(small, large),
		r.renders(),
		r.fetched(),
		r.memory(unchanged, large, 120),
		r.memory(first, large, 300),
		r.startTime(),
		r.startMemory(),
	}
}

// mid is the median of a value of the samples of each round.
func (r *Report) mid(contestant, workload string, size int, scenario string, value func(Sample) float64) map[int]float64 {
	rounds := map[int][]float64{}
	for _, s := range r.of(contestant, workload, size, scenario) {
		rounds[s.Round] = append(rounds[s.Round], value(s))
	}
	mids := map[int]float64{}
	for round, values := range rounds {
		mids[round] = median(values)
	}
	return mids
}

// ratio is the median over the rounds of a by b.
func ratio(a, b map[int]float64) (value float64, measured bool) {
	var ratios []float64
	for round, over := range a {
		if under, both := b[round]; both && under > 0 {
			ratios = append(ratios, over/under)
		}
	}
	return median(ratios), len(ratios) > 0
}

func middleOf(rounds map[int]float64) float64 {
	var values []float64
	for _, v := range rounds {
		values = append(values, v)
	}
	return median(values)
}

func (r *Report) againstPeers(size int) Bar {
	b := Bar{What: fmt.Sprintf("unchanged, %s objects: wall against the fastest peer that detects drift", thousands(size)), Most: 0.1}
	ours := r.mid("tidemark", "mix", size, unchanged, wall)
	best, name := math.Inf(1), ""
	var fastest map[int]float64
	for _, peer := range r.peers {
		edited := r.of(peer, "mix", size, drifted)
		walls := r.mid(peer, "mix", size, unchanged, wall)
		if len(edited) == 0 || len(walls) == 0 || !all(edited, func(s Sample) bool { return s.Mended }) {
			continue
		}
		if v := middleOf(walls); v < best {
			best, name, fastest = v, peer, walls
		}
	}
	b.Value, b.Measured = ratio(ours, fastest)
	if !b.Measured {
		return b
	}
	b.How = fmt.Sprintf("%s s by %s s of %s", seconds(middleOf(ours)), seconds(best), name)
	return b
}

func (r *Report) againstParts(size int) Bar {
	b := Bar{What: fmt.Sprintf("unchanged, %s objects: wall against bare LISTs, process start, ref look-up and store round trips", thousands(size)), Most: 1.5}
	ours := r.mid("tidemark", "mix", size, unchanged, wall)
	parts := map[int]float64{}
	b.How = seconds(middleOf(ours)) + " s by"
	for i, part := range []string{lists, start, ref, trips} {
		took := r.mid("part", "mix", size, part, wall)
		for round := range ours {
			if took[round] == 0 {
				return b
			}
			parts[round] += took[round]
		}
		if i > 0 {
			b.How += " +"
		}
		b.How += fmt.Sprintf(" %s s", seconds(middleOf(took)))
	}
	b.Value, b.Measured = ratio(ours, parts)
	return b
}

// requests holds that they are as many with few objects as with many, whatever their number: what is beyond the kinds.
func (r *Report) requests(sizes ...int) Bar {
	b := Bar{What: "unchanged: requests to the cluster that depend on the number of objects", Measured: true}
	least, most := math.MaxInt, 0
	for i, size := range sizes {
		those := r.of("tidemark", "mix", size, unchanged)
		if len(those) == 0 {
			b.Measured = false
			return b
		}
		for _, s := range those {
			least, most = min(least, sum(s.Requests)), max(most, sum(s.Requests))
		}
		if i > 0 {
			b.How += "; "
		}
		b.How += fmt.Sprintf("%s objects: %s", thousands(size), byVerb(those[len(those)-1].Requests))
	}
	b.Value = float64(most - least)
	return b
}

func (r *Report) againstFloor(who string, size int, most float64, how string) Bar {
	b := Bar{What: fmt.Sprintf("first apply, %s objects, %s: wall against the 32-wide floor", thousands(size), how), Most: most}
	ours, floor := r.mid(who, "mix", size, first, wall), r.mid("floor, 32 wide", "mix", size, first, wall)
	b.Value, b.Measured = ratio(ours, floor)
	b.How = fmt.Sprintf("%s s by %s s", seconds(middleOf(ours)), seconds(middleOf(floor)))
	return b
}

// oneOfMany compares one change among many apps with one change of one app, without what the LISTs take.
func (r *Report) oneOfMany(small, large int) Bar {
	b := Bar{What: fmt.Sprintf("one changed of %s against one changed of %s, LIST time taken off", thousands(large), thousands(small)), Most: 1.3}
	rest := func(size int) map[int]float64 {
		walls, listed := r.mid("tidemark", "mix", size, changed, wall), r.mid("part", "mix", size, lists, wall)
		left := map[int]float64{}
		for round, w := range walls {
			if l, both := listed[round]; both {
				left[round] = w - l
			}
		}
		b.How += fmt.Sprintf("(%s − %s) s ", seconds(middleOf(walls)), seconds(middleOf(listed)))
		return left
	}
	many := rest(large)
	b.How += "by "
	b.Value, b.Measured = ratio(many, rest(small))
	return b
}

func (r *Report) renders() Bar {
	b := Bar{What: fmt.Sprintf("one app touched of %d in one repository: renders", r.apps), Most: 1}
	for _, s := range r.of("tidemark", monorepo, 0, touched) {
		c, known := costOf(s)
		b.Measured = known
		b.Value = max(b.Value, float64(c.Renders))
	}
	if b.Value == 0 {
		b.Measured = false // One must be.
	}
	b.How = "as the record says"
	return b
}

func (r *Report) fetched() Bar {
	b := Bar{What: "the same: bytes fetched beyond the tree objects against that app's own files", Most: 3}
	var ratios, got, trees, own []float64
	way := ""
	for _, s := range r.of("tidemark", monorepo, 0, touched) {
		if s.OwnBytes == 0 || s.GitBytes == 0 {
			continue
		}
		ratios = append(ratios, float64(s.GitBytes-s.TreeBytes)/float64(s.OwnBytes))
		got, trees, own = append(got, float64(s.GitBytes)), append(trees, float64(s.TreeBytes)), append(own, float64(s.OwnBytes))
		if c, _ := costOf(s); len(c.Fetches) > 0 {
			way = ", fetched: " + c.Fetches[0].Way
		}
	}
	b.Measured = len(ratios) > 0
	b.Value = max(0, median(ratios))
	b.How = fmt.Sprintf("(%s − %s of all trees) by %s%s", size10(median(got)), size10(median(trees)), size10(median(own)), way)
	return b
}

func (r *Report) memory(scenario string, size int, most float64) Bar {
	b := Bar{What: fmt.Sprintf("peak memory, %s, %s objects", scenario, thousands(size)), Most: most, Unit: "MB"}
	those := r.of("tidemark", "mix", size, scenario)
	b.Measured = len(those) > 0
	for _, s := range those {
		b.Value = max(b.Value, float64(s.PeakBytes)/1e6)
	}
	b.How = "the highest of all rounds"
	return b
}

func (r *Report) startTime() Bar {
	b := Bar{What: "tidemark version: wall against kubectl version --client", Most: 1}
	ours, theirs := r.mid("tidemark version", "cold start", 0, start, wall), r.mid("kubectl version --client", "cold start", 0, start, wall)
	b.Value, b.Measured = ratio(ours, theirs)
	b.How = fmt.Sprintf("%s s by %s s", seconds(middleOf(ours)), seconds(middleOf(theirs)))
	return b
}

func (r *Report) startMemory() Bar {
	ours, theirs := r.mid("tidemark version", "cold start", 0, start, peak), r.mid("kubectl version --client", "cold start", 0, start, peak)
	return Bar{
		What: "tidemark version: memory", Most: 45, Unit: "MB", Value: middleOf(ours) / 1e6, Measured: len(ours) > 0,
		How: fmt.Sprintf("median; kubectl %.1f MB", middleOf(theirs)/1e6),
	}
}

func barTable(bars []Bar) string {
	rows := [][]string{{"", "what", "measured", "bar", "made of"}}
	missed := 0
	for _, b := range bars {
		verdict := "met"
		switch {
		case !b.Measured:
			verdict = "NOT MEASURED"
		case !b.met():
			verdict = "MISSED"
			missed++
		}
		rows = append(rows, []string{verdict, b.What, figure(b.Value, b.Unit), "≤ " + figure(b.Most, b.Unit), b.How})
	}
	text := aligned(rows)
	if missed > 0 {
		text += fmt.Sprintf("\n%d of %d BARS MISSED\n", missed, len(bars))
	}
	return text
}

func figure(v float64, unit string) string {
	text := fmt.Sprintf("%.3g", v)
	if v >= 100 {
		text = fmt.Sprintf("%.0f", v)
	}
	if unit != "" {
		text += " " + unit
	}
	return text
}
