package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"tidemark.dev/tidemark/tests/bench/workload"
	"tidemark.dev/tidemark/tests/servers"
)

// monorepo is the workload of many apps in one repository.
const monorepo = "monorepo"

// touched is a commit that touches one app of the monorepo.
const touched = "one app touched"

// repository is the monorepo with its work tree, made once: it takes longer than the runs.
type repository struct {
	workload.Monorepo
	repo *servers.Repo
}

func (b *bench) newRepository(ctx context.Context, apps int) (repository, error) {
	dir := filepath.Join(b.dir, monorepo)
	repo, err := servers.NewRepo(ctx, dir)
	if err != nil {
		return repository{}, err
	}
	m, err := workload.NewMonorepo(dir, apps)
	return repository{m, repo}, err
}

// many brings Tidemark through the scenarios with many apps in one repository.
func (b *bench) many(ctx context.Context, r repository, round int) (samples []Sample, err error) {
	dir, err := os.MkdirTemp(b.dir, "place-")
	if err != nil {
		return nil, err
	}
	p, err := b.newPlace(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.leave()) }()
	if err := p.namespaces(ctx, r.Namespaces()); err != nil {
		return nil, err
	}
	var apps strings.Builder
	for i, app := range r.Apps {
		fmt.Fprintf(&apps, "- {name: %s, source: {path: %s}, namespace: %s}\n", app, r.Path(i), r.Namespace(i))
	}
	config := filepath.Join(dir, "tidemark.yaml")
	if err := p.configure(config, "validate: server", apps.String()); err != nil {
		return nil, err
	}
	s := stretch{bench: b, place: p, name: "tidemark", workload: monorepo, objects: r.Objects(), round: round, in: entered{run: b.sync(p, config), read: readRecord}}
	app := round * 7 % len(r.Apps)
	scenarios := []struct {
		name string
		edit func() error
	}{
		{first, r.Restore},
		{unchanged, nil},
		{touched, func() error { return r.Touch(app, round) }},
		{drifted, nil},
		{removed, r.RemoveTenth},
	}
	for _, scenario := range scenarios {
		if scenario.edit != nil {
			if err := scenario.edit(); err != nil {
				return s.samples, err
			}
			if err := p.publish(ctx, r.repo, servers.Serving{AnySHA1: true, Filter: true}); err != nil {
				return s.samples, err
			}
		}
		if scenario.name == drifted {
			err = s.drifted(ctx, r.Drifted(app))
		} else {
			err = s.run(ctx, scenario.name)
		}
		if err != nil {
			return s.samples, err
		}
		if scenario.name == touched {
			last := &s.samples[len(s.samples)-1]
			if last.TreeBytes, err = treeBytes(ctx, r.repo); err != nil {
				return s.samples, err
			}
			if last.OwnBytes, err = r.Sizes(app); err != nil {
				return s.samples, err
			}
		}
	}
	return s.samples, nil
}

// treeBytes is how much the folders of the newest commit take in git: compressed, as they are sent.
func treeBytes(ctx context.Context, repo *servers.Repo) (int64, error) {
	listing, err := repo.Git(ctx, "rev-list", "--objects", "--no-object-names", "--filter=blob:none", "--max-count=1", "HEAD")
	if err != nil {
		return 0, err
	}
	sizes, err := repo.GitWith(ctx, strings.NewReader(listing+"\n"), "cat-file", "--batch-check=%(objecttype) %(objectsize:disk)")
	if err != nil {
		return 0, err
	}
	var sum int64
	for line := range strings.Lines(sizes) {
		kind, size, _ := strings.Cut(strings.TrimSpace(line), " ")
		if kind != "tree" {
			continue
		}
		n, err := strconv.ParseInt(size, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("size of a tree: %w", err)
		}
		sum += n
	}
	return sum, nil
}
