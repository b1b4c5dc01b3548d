package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"tidemark.dev/tidemark/tests/bench/workload"
)

// again is how often an unchanged run of Tidemark is measured at one place: it is short, so that a single one says little.
const again = 3

// sequence brings one contestant through the scenarios at a place of its own.
func (b *bench) sequence(ctx context.Context, c contestant, namespaces, round int) (samples []Sample, err error) {
	dir, err := os.MkdirTemp(b.dir, "place-")
	if err != nil {
		return nil, err
	}
	p, err := b.newPlace(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.leave()) }()
	m, err := workload.NewMix(filepath.Join(dir, "mix"), namespaces, b.per)
	if err != nil {
		return nil, err
	}
	if err := p.namespaces(ctx, m.Namespaces); err != nil {
		return nil, err
	}
	in, err := c.enter(ctx, p, m)
	if err != nil {
		return nil, err
	}
	s := stretch{bench: b, place: p, name: c.name, workload: "mix", objects: m.Len(), round: round, in: in}
	scenarios := []struct {
		name string
		edit func() error
	}{
		{first, func() error { return nil }},
		{unchanged, nil},
		{changed, func() error { return m.ChangeOne(round) }},
		{drifted, nil},
		{removed, m.RemoveTenth},
	}
	for _, scenario := range scenarios {
		if c.skips[scenario.name] != "" || b.spares(c, scenario.name, namespaces, round) {
			continue
		}
		if scenario.edit != nil {
			if err := scenario.edit(); err != nil {
				return s.samples, err
			}
			if in.ready != nil {
				if err := in.ready(ctx); err != nil {
					return s.samples, err
				}
			}
		}
		switch {
		case scenario.name == unchanged && c.parts:
			err = s.unchanged(ctx)
		case scenario.name == drifted:
			err = s.drifted(ctx, m.Drifted())
		default:
			err = s.run(ctx, scenario.name)
		}
		if err != nil {
			return s.samples, err
		}
	}
	return s.samples, nil
}

// spares says what is left out to save time: nothing, where everything is asked for.
func (b *bench) spares(c contestant, scenario string, namespaces, round int) bool {
	large, small := b.sizes[len(b.sizes)-1], b.sizes[0]
	brief := scenario == first || scenario == unchanged
	switch {
	case b.full:
		return false
	case c.peer && namespaces == small:
		return !brief // Enough for the plots.
	case c.slow:
		return !brief && round > 1
	case c.again && namespaces == large: // It takes as long each time.
		return scenario != first && (scenario != unchanged || round > 1)
	}
	return false
}

// stretch is what one contestant does at one place.
type stretch struct {
	*bench
	place    *place
	name     string
	workload string
	objects  int
	round    int
	in       entered
	samples  []Sample
}

// run measures one run.
func (s *stretch) run(ctx context.Context, scenario string) error {
	sample, out, err := s.measure(ctx, s.place, s.in.run)
	if err == nil && s.in.read != nil {
		err = s.in.read(out, &sample)
	}
	if err != nil {
		return fmt.Errorf("%s, %s of %d objects, %s: %w", s.name, s.workload, s.objects, scenario, err)
	}
	sample.Contestant, sample.Scenario = s.name, scenario
	s.note(sample)
	return nil
}

func (s *stretch) note(sample Sample) {
	sample.Workload, sample.Objects, sample.Round = s.workload, s.objects, s.round
	s.samples = append(s.samples, sample)
	s.say("%-34s %6d objects  round %d  %-18s %8.3f s", sample.Contestant, s.objects, s.round, sample.Scenario, sample.Seconds)
}

// drifted edits the object by hand and measures what follows.
func (s *stretch) drifted(ctx context.Context, path string) error {
	if err := s.place.drift(ctx, path); err != nil {
		return err
	}
	if err := s.run(ctx, drifted); err != nil {
		return err
	}
	still, err := s.place.drifted(ctx, path)
	s.samples[len(s.samples)-1].Mended = !still
	return err
}

// unchanged measures unchanged runs of Tidemark, and the parts of one in between.
func (s *stretch) unchanged(ctx context.Context) error {
	for range again {
		if err := s.run(ctx, unchanged); err != nil {
			return err
		}
		parts, err := s.parts(ctx, s.place, s.samples[len(s.samples)-1].trips)
		if err != nil {
			return fmt.Errorf("measure the parts of an unchanged run: %w", err)
		}
		for _, part := range parts {
			part.Contestant = "part"
			s.note(part)
		}
	}
	return nil
}

// cold measures how the binaries start, in turns.
func (b *bench) cold(ctx context.Context, rounds int) ([]Sample, error) {
	dir, err := os.MkdirTemp(b.dir, "cold-")
	if err != nil {
		return nil, err
	}
	var samples []Sample
	for round := range 4 * rounds {
		for _, c := range []struct {
			name string
			argv []string
		}{
			{"tidemark version", []string{b.programs["tidemark"], "version"}},
			{"kubectl version --client", []string{b.programs["kubectl"], "version", "--client"}},
		} {
			s, _, err := b.meter(ctx, dir, command{argv: c.argv})
			if err != nil {
				return nil, err
			}
			s.Contestant, s.Workload, s.Scenario, s.Round = c.name, "cold start", start, round
			samples = append(samples, s)
		}
	}
	return samples, nil
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	values = slices.Sorted(slices.Values(values))
	if n := len(values); n%2 == 0 {
		return (values[n/2-1] + values[n/2]) / 2
	}
	return values[len(values)/2]
}
