package helm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/v2"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"

	"tidemark.dev/tidemark/render/source"
)

// dependencies brings along the charts that a chart declares but does not hold
// in charts/: from the repository when they are file://, else from where
// Chart.lock pins them.
type dependencies struct {
	reader  *source.Recorder
	charts  *Charts
	fetched []ChartVersion
	notes   []string
}

// complete adds what is missing to a chart. Its directory in the tree is empty
// for a chart from elsewhere.
func (d *dependencies) complete(ctx context.Context, c *v2.Chart, dir string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%s: more than %d file:// dependencies in each other (do they lead in a circle?)", dir, maxDepth)
	}
	synced, err := inSync(c)
	if err != nil {
		return err
	}
	if !synced {
		d.notes = append(d.notes, fmt.Sprintf("%s: Chart.lock is out of sync with the dependencies in Chart.yaml: run `helm dependency update`", c.Name()))
	}
	var errs []error
	for _, declared := range c.Metadata.Dependencies {
		if held := named(c.Dependencies(), declared.Name); len(held) > 0 {
			d.compare(c, declared, held)
			continue
		}
		var missing *v2.Chart
		var err error
		switch {
		case strings.HasPrefix(declared.Repository, "file://"):
			missing, err = d.local(ctx, declared, dir, depth)
		case !synced:
			err = errors.New("and Chart.lock is out of sync with Chart.yaml: run `helm dependency update` and commit Chart.lock")
		default:
			missing, err = d.remote(ctx, c, declared)
		}
		if err != nil {
			at := c.Name()
			if dir != "" {
				at = path.Join(dir, "Chart.yaml")
			}
			errs = append(errs, fmt.Errorf("%s: dependency %s %s is not in charts/: %w", at, declared.Name, declared.Version, err))
			continue
		}
		c.AddDependency(missing)
	}
	return errors.Join(errs...)
}

// compare notes a dependency whose held versions are not what is declared. Helm
// renders it all the same, as one that nobody declared.
func (d *dependencies) compare(c *v2.Chart, declared *v2.Dependency, held []*v2.Chart) {
	fits := func(h *v2.Chart) bool { return chartutil.IsCompatibleRange(declared.Version, h.Metadata.Version) }
	if !slices.ContainsFunc(held, fits) {
		d.notes = append(d.notes, fmt.Sprintf("%s: dependency %s is declared as %s, but charts/ holds %s, so that its alias, condition and tags are not heeded: run `helm dependency update`",
			c.Name(), declared.Name, declared.Version, held[0].Metadata.Version))
	}
}

func named(charts []*v2.Chart, name string) []*v2.Chart {
	var found []*v2.Chart
	for _, c := range charts {
		if c.Name() == name {
			found = append(found, c)
		}
	}
	return found
}

// local loads a dependency from the repository.
func (d *dependencies) local(ctx context.Context, declared *v2.Dependency, dir string, depth int) (*v2.Chart, error) {
	if dir == "" {
		return nil, fmt.Errorf("%s leads nowhere from a packaged chart", declared.Repository)
	}
	at := strings.TrimPrefix(declared.Repository, "file://")
	if path.IsAbs(at) {
		return nil, fmt.Errorf("%s is a path of a machine, not of the repository: make it relative to the chart", declared.Repository)
	}
	at = path.Join(dir, at)
	c, err := loadDirectory(d.reader, at)
	if err != nil {
		return nil, err
	}
	if c.Name() != declared.Name || !chartutil.IsCompatibleRange(declared.Version, c.Metadata.Version) {
		return nil, fmt.Errorf("%s holds %s %s", at, c.Name(), c.Metadata.Version)
	}
	return c, d.complete(ctx, c, at, depth+1)
}

// remote fetches a dependency in the version that Chart.lock names.
func (d *dependencies) remote(ctx context.Context, c *v2.Chart, declared *v2.Dependency) (*v2.Chart, error) {
	switch repo := declared.Repository; {
	case repo == "":
		return nil, errors.New("it has no repository: put the chart into charts/")
	case strings.HasPrefix(repo, "@"), strings.HasPrefix(repo, "alias:"):
		return nil, fmt.Errorf("its repository %s is a name that only the author's machine knows: write the URL", repo)
	case c.Lock == nil:
		return nil, errors.New("and no Chart.lock pins it: run `helm dependency update` and commit Chart.lock, or charts/ too")
	case d.charts == nil:
		return nil, errors.New("and charts may not be fetched here: run `helm dependency build` and commit charts/")
	}
	i := slices.IndexFunc(c.Lock.Dependencies, func(l *v2.Dependency) bool {
		return l != nil && l.Name == declared.Name && chartutil.IsCompatibleRange(declared.Version, l.Version)
	})
	if i < 0 {
		return nil, errors.New("and Chart.lock does not name it: run `helm dependency update` and commit Chart.lock")
	}
	ref := ChartRef{Repo: declared.Repository, Name: declared.Name, Version: c.Lock.Dependencies[i].Version}
	found, packed, err := d.charts.fetch(ctx, ref, untrusted)
	if err != nil {
		return nil, err
	}
	fetched, err := loadPacked(packed, found)
	if err != nil {
		return nil, err
	}
	d.fetched = append(d.fetched, found)
	return fetched, nil
}

// loadPacked loads a chart as it came from a repository.
func loadPacked(packed []byte, found ChartVersion) (*v2.Chart, error) {
	left := newBudget()
	files, err := unpack(packed, left)
	if err != nil {
		return nil, fmt.Errorf("%s %s from %s: %w", found.Name, found.Version, found.Repo, err)
	}
	c, err := loadFiles(files, left)
	if err != nil {
		return nil, fmt.Errorf("%s %s from %s: %w", found.Name, found.Version, found.Repo, err)
	}
	if c.Name() != found.Name || !sameVersion(c.Metadata.Version, found.Version) {
		return nil, fmt.Errorf("%s gives %s %s where %s %s is asked for", found.Repo, c.Name(), c.Metadata.Version, found.Name, found.Version)
	}
	return c, nil
}

// inSync says whether Chart.lock was made from the dependencies that the chart
// declares, by the digest that "helm dependency build" checks. A chart without
// a lock is in sync.
func inSync(c *v2.Chart) (bool, error) {
	if c.Lock == nil || c.Lock.Digest == "" {
		return true, nil
	}
	made := []any{[2][]*v2.Dependency{c.Metadata.Dependencies, c.Lock.Dependencies}}
	if c.Metadata.APIVersion == v2.APIVersionV1 {
		// Helm 2 left the locked versions out.
		made = append(made, map[string][]*v2.Dependency{"dependencies": c.Metadata.Dependencies})
	}
	for _, m := range made {
		data, err := json.Marshal(m)
		if err != nil {
			return false, fmt.Errorf("%s: digest the dependencies: %w", c.Name(), err)
		}
		sum := sha256.Sum256(data)
		if c.Lock.Digest == "sha256:"+hex.EncodeToString(sum[:]) {
			return true, nil
		}
	}
	return false, nil
}
