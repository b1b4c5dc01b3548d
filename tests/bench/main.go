// Command bench measures what Tidemark costs, on a real API server, a real S3 server and a real git server, beside the
// least that such work can cost and beside other tools for it:
//
//	go run . [-smoke] [-full] [-rounds 5] [-only WHAT] [-out DIR] [-tidemark PROGRAM]
//
// Every contestant has a cluster of its own that nobody has used, one at a time; they take turns, round by round, so that
// what else the machine does hits all of them. It prints one report and writes bench.json with every sample, and plots.
//
// A bar that is missed is told and is no failure; what could not be measured is one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

type bench struct {
	dir string
	// programs are the paths of what is run, by name; those that are not there are left out.
	programs map[string]string
	// absent says of each peer that is not measured why.
	absent map[string]string
	// rivals are the names of the peers that are measured.
	rivals []string
	// sizes are the numbers of namespaces of the mix, the smallest first.
	sizes []int
	// per is how many objects each of them holds.
	per  int
	apps int
	// rounds is how often everything is measured.
	rounds int
	// hasty: no cluster is waited for until it is calm.
	hasty bool
	// only names what is measured; everything when it is empty.
	only []string
	// full: nothing is left out to save time.
	full  bool
	began time.Time
}

// wants says whether something is to be measured.
func (b *bench) wants(name string) bool { return len(b.only) == 0 || slices.Contains(b.only, name) }

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%6.1f s  %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
}

func main() {
	smoke := flag.Bool("smoke", false, "tiny sizes, one round: proves that everything can be measured")
	full := flag.Bool("full", false, "everything, in each round, at each size")
	rounds := flag.Int("rounds", 5, "how often everything is measured")
	out := flag.String("out", "", "`folder` for bench.json and the plots")
	only := flag.String("only", "", "measure only `what` is named here: small, middle, large, monorepo, with commas; ours leaves the other tools out")
	tidemark := flag.String("tidemark", "", "`program` to measure")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := &bench{began: time.Now(), sizes: []int{1, 10, 100}, per: 100, apps: 500, rounds: *rounds, absent: map[string]string{}, full: *full}
	if *smoke {
		b.sizes, b.per, b.apps, b.rounds, b.hasty = []int{1, 2, 3}, 20, 6, 1, true
	}
	b.only = strings.FieldsFunc(*only, func(r rune) bool { return r == ',' })
	if err := b.main(ctx, *out, *tidemark, *smoke, *full); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (b *bench) main(ctx context.Context, out, tidemark string, smoke, full bool) (err error) {
	if out, err = filepath.Abs(out); err != nil {
		return err
	}
	if tidemark, err = filepath.Abs(tidemark); err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "tidemark-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if err := b.find(ctx, out, tidemark); err != nil {
		return err
	}
	samples, failures := b.measureAll(ctx, smoke, full)
	report := newReport(b, samples, smoke, full, failures)
	if err := report.write(out, os.Stdout); err != nil {
		return err
	}
	if len(failures) > 0 {
		return fmt.Errorf("not measured: %w", errors.Join(failures...))
	}
	return nil
}

// measureAll goes through all rounds. What fails once is not tried again.
func (b *bench) measureAll(ctx context.Context, smoke, full bool) (samples []Sample, failures []error) {
	large := b.sizes[len(b.sizes)-1]
	ours := []contestant{b.tidemark("tidemark", "server", nil), b.floor("32")}
	unproven := b.tidemark("tidemark, no dry run", "none", map[string]string{
		unchanged: "as above", changed: "as above", drifted: "as above", removed: "as above",
	})
	peers := b.peers()
	if slices.Contains(b.only, "ours") {
		peers = nil
	}
	for _, c := range peers {
		b.rivals = append(b.rivals, c.name)
	}
	var repo repository
	if b.wants(monorepo) {
		var err error
		if repo, err = b.newRepository(ctx, b.apps); err != nil {
			return nil, []error{err}
		}
	}
	dead := map[string]bool{}
	take := func(key string, more []Sample, err error) {
		samples = append(samples, more...)
		if err != nil {
			b.say("FAILED: %v", err)
			failures = append(failures, err)
			dead[key] = true
		}
	}
	for round := 1; round <= b.rounds; round++ {
		for i, size := range b.sizes {
			if !b.wants([]string{"small", "middle", "large"}[i]) {
				continue
			}
			those := ours
			switch {
			case size == large && !full:
			case size == b.sizes[0] && smoke:
			case size == b.sizes[1]:
				those = append(append(append([]contestant{}, ours...), unproven), peers...)
			default:
				those = append(append([]contestant{}, ours...), peers...)
			}
			for _, c := range those {
				key := fmt.Sprint(c.name, size)
				if dead[key] || ctx.Err() != nil {
					continue
				}
				more, err := b.sequence(ctx, c, size, round)
				take(key, more, err)
			}
		}
		if b.wants(monorepo) && !dead[monorepo] && ctx.Err() == nil {
			more, err := b.many(ctx, repo, round)
			take(monorepo, more, err)
		}
	}
	more, err := b.cold(ctx, b.rounds)
	take(start, more, err)
	if ctx.Err() != nil {
		failures = append(failures, context.Cause(ctx))
	}
	return samples, failures
}
