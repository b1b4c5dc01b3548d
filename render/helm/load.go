package helm

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"helm.sh/helm/v4/pkg/chart/loader/archive"
	"helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/ignore"

	"tidemark.dev/tidemark/render/source"
)

// maxDepth bounds how deep directories and links to directories, archives in
// archives, and file:// dependencies may stand in each other.
const maxDepth = 32

// loadDirectory loads the chart in a directory of the tree: the files that its
// .helmignore leaves, symbolic links followed as Helm does, but never out of
// the repository.
func loadDirectory(r *source.Recorder, dir string) (*v2.Chart, error) {
	if _, err := r.Resolve(path.Join(dir, "Chart.yaml")); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: there is no Chart.yaml", dir)
	}
	rules := ignore.Empty()
	switch data, err := r.ReadFile(path.Join(dir, ignore.HelmIgnore)); {
	case err == nil:
		if rules, err = ignore.Parse(bytes.NewReader(data)); err != nil {
			return nil, fmt.Errorf("%s: %w", path.Join(dir, ignore.HelmIgnore), err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	rules.AddDefaults()
	w := walk{reader: r, rules: rules, left: newBudget()}
	if err := w.directory(dir, "", 0); err != nil {
		return nil, err
	}
	c, err := loadFiles(w.files, w.left)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return c, nil
}

// walk collects the files of a chart.
type walk struct {
	reader *source.Recorder
	rules  *ignore.Rules
	left   *budget
	files  []*archive.BufferedFile
}

// directory adds what a directory of the tree holds under a path in the chart.
func (w *walk) directory(dir, inChart string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%s: more than %d directories deep (does a symbolic link lead in a circle?)", dir, maxDepth)
	}
	if err := w.left.file(0); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	entries, err := w.reader.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		at, name := path.Join(dir, e.Name()), path.Join(inChart, e.Name())
		target, err := w.reader.Resolve(at)
		if w.rules.Ignore(name, info{entry: target}) {
			continue
		}
		if err != nil {
			return err
		}
		switch target.Mode {
		case source.Directory:
			err = w.directory(at, name, depth+1)
		case source.Submodule:
			err = fmt.Errorf("%s: %w", at, source.ErrSubmodule)
		case source.File, source.Executable, source.Symlink:
			err = w.file(at, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// file adds a file. Its length is known once it was read; one file alone is
// bounded by the tree.
func (w *walk) file(at, name string) error {
	data, err := w.reader.ReadFile(at)
	if err != nil {
		return err
	}
	if err := w.left.file(int64(len(data))); err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	w.files = append(w.files, &archive.BufferedFile{Name: name, Data: withoutMark(data)})
	return nil
}

// info is the little of a file that ignore rules look at.
type info struct{ entry source.Entry }

func (i info) Name() string     { return i.entry.Name() }
func (info) Size() int64        { return 0 }
func (info) Mode() fs.FileMode  { return 0 }
func (info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool      { return i.entry.Mode == source.Directory }
func (info) Sys() any           { return nil }

// loadFiles makes a chart of its files. Archives among its subcharts are
// unpacked first, all of them out of one budget.
func loadFiles(files []*archive.BufferedFile, left *budget) (*v2.Chart, error) {
	files, err := unpackSubcharts(files, left, 0)
	if err != nil {
		return nil, err
	}
	c, err := loader.LoadFiles(files)
	if err != nil {
		return nil, err
	}
	switch c.Metadata.APIVersion {
	case v2.APIVersionV1, v2.APIVersionV2:
	default:
		return nil, fmt.Errorf("apiVersion %q of the Chart.yaml is not known (known are v1 and v2)", c.Metadata.APIVersion)
	}
	sortSubcharts(c)
	return c, nil
}

// sortSubcharts undoes the random order in which the loader finds them.
func sortSubcharts(c *v2.Chart) {
	sorted := slices.SortedStableFunc(slices.Values(c.Dependencies()), func(a, b *v2.Chart) int {
		return cmp.Or(strings.Compare(a.Name(), b.Name()), strings.Compare(a.Metadata.Version, b.Metadata.Version))
	})
	for _, d := range sorted {
		sortSubcharts(d)
	}
	c.SetDependencies(sorted...)
}

// withoutMark drops the byte order mark that some editors put before a text.
func withoutMark(data []byte) []byte { return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) }
