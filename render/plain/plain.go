// Package plain renders directories of Kubernetes manifests that need no
// engine: every .yaml, .yml and .json file at or below a path, or one file.
//
// What is left out of a directory, besides files of other names: files and
// directories whose names begin with a dot; what .sourceignore and
// .tidemarkignore files say, in the syntax of .gitignore, wherever they lie
// between the root of the repository and the file; what the options say; and
// configuration of Kustomize.
//
// Law: nothing is left out in silence because it could not be read or
// understood. A file that is there, has the right name and is not left out by
// one of the rules above is rendered whole or is an error.
package plain

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/render/source"
)

// Options choose files of a directory. The zero value takes all of them. A path
// that is a single file is read whatever the options say.
//
// A pattern is a line of a .gitignore file, relative to the app's path: "*" and
// "?" stay inside one name, "**" spans directories, a pattern without a slash
// in its middle or at its beginning matches at any depth, and one that names a
// directory matches all in it.
type Options struct {
	// Include keeps only the files that one of the patterns names.
	Include []string `json:"include,omitempty"`
	// Exclude leaves out the files that one of the patterns names; it wins over
	// Include.
	Exclude []string `json:"exclude,omitempty"`
}

// Report says what a render did besides giving objects.
type Report struct {
	// Inputs are what was read, as source.Recorder gives it.
	Inputs []source.Entry
	// Kustomizations are the files of Kustomize that were left out.
	Kustomizations []string
}

// ErrIgnored is the case of a path that an ignore file leaves out altogether.
var ErrIgnored = errors.New("is left out")

// What one render looks at is bounded, since a few links can make a small tree
// look like an endless one.
const (
	maxEntries = 100_000
	maxLinks   = 1_000
)

// Render reads the manifests at a path of a tree, sorted by file and in the
// order of each file. A path that is not there is fs.ErrNotExist. Errors of all
// files are given at once, joined; then there are no objects. The report is
// complete in any case.
func Render(tree *source.Tree, name string, o Options) ([]object.Object, Report, error) {
	r := &renderer{reads: source.NewRecorder(tree), root: path.Clean(name)}
	err := r.run(o)
	slices.SortStableFunc(r.objects, func(a, b object.Object) int { return strings.Compare(a.Origin.File, b.Origin.File) })
	report := Report{Inputs: r.reads.Reads(), Kustomizations: r.kustomizations}
	if err := errors.Join(append(r.errs, err)...); err != nil {
		return nil, report, err
	}
	return r.objects, report, nil
}

type renderer struct {
	reads            *source.Recorder
	root             string
	include, exclude globs

	seen, links    int
	objects        []object.Object
	kustomizations []string
	errs           []error
}

func (r *renderer) run(o Options) error {
	var err error
	if r.include, err = parseGlobs("include", o.Include); err != nil {
		return err
	}
	if r.exclude, err = parseGlobs("exclude", o.Exclude); err != nil {
		return err
	}
	e, err := r.reads.Resolve(r.root)
	if err != nil {
		return err
	}
	if e.Mode != source.Directory {
		r.file(r.root)
		return nil
	}
	ignored, err := r.above()
	if err != nil {
		return err
	}
	return r.directory(r.root, ignored, []string{e.Path})
}

// above reads the ignore files above the root of the render, and refuses a
// root that they leave out.
func (r *renderer) above() (ignores, error) {
	if r.root == "." {
		return nil, nil
	}
	var ignored ignores
	at := "."
	for part := range strings.SplitSeq(r.root, "/") {
		var err error
		if ignored, err = ignored.enter(r.reads, at); err != nil {
			return nil, err
		}
		at = path.Join(at, part)
		if file := ignored.by(at, true); file != "" {
			return nil, fmt.Errorf("%s: %w by %s", r.root, ErrIgnored, file)
		}
	}
	return ignored, nil
}

// directory reads one directory and those below it. The resolved paths of the
// directory and of those above it tell when links lead in a circle.
func (r *renderer) directory(dir string, ignored ignores, trail []string) error {
	ignored, err := ignored.enter(r.reads, dir)
	if err != nil {
		return err
	}
	entries, err := r.reads.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if r.seen++; r.seen > maxEntries {
			return fmt.Errorf("%s: holds more than %d files and directories", r.root, maxEntries)
		}
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if err := r.entry(path.Join(dir, e.Name()), e.Mode, ignored, trail); err != nil {
			return err
		}
	}
	return nil
}

func (r *renderer) entry(name string, mode source.Mode, ignored ignores, trail []string) error {
	isDir := mode == source.Directory || mode == source.Submodule
	relative := strings.TrimPrefix(name, r.root+"/")
	if ignored.by(name, isDir) != "" || r.exclude.match(relative, isDir) {
		return nil
	}
	resolved := source.Entry{Path: name, Mode: mode}
	if mode == source.Symlink || mode == source.Directory {
		var err error
		resolved, err = r.reads.Resolve(name)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) && !isManifest(name) {
				return nil
			}
			r.errs = append(r.errs, fmt.Errorf("symbolic link %w", err))
			return nil
		}
	}
	switch resolved.Mode {
	case source.Submodule:
		r.errs = append(r.errs, fmt.Errorf("%s: %w", name, source.ErrSubmodule))
	case source.Directory:
		if ignored.by(name, true) != "" || r.exclude.match(relative, true) {
			return nil
		}
		if mode == source.Symlink {
			if r.links++; r.links > maxLinks {
				return fmt.Errorf("%s: holds more than %d symbolic links to directories", r.root, maxLinks)
			}
		}
		if slices.Contains(trail, resolved.Path) {
			r.errs = append(r.errs, fmt.Errorf("symbolic link %s: leads back to %s, which it lies in", name, resolved.Path))
			return nil
		}
		return r.directory(name, ignored, append(slices.Clone(trail), resolved.Path))
	case source.File, source.Executable, source.Symlink:
		if isManifest(name) && (len(r.include) == 0 || r.include.match(relative, false)) {
			r.file(name)
		}
	}
	return nil
}

func isManifest(name string) bool {
	switch path.Ext(name) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

func (r *renderer) file(name string) {
	data, err := r.reads.ReadFile(name)
	if err != nil {
		r.errs = append(r.errs, err)
		return
	}
	if isKustomization(path.Base(name), data) {
		r.kustomizations = append(r.kustomizations, name)
		return
	}
	objects, err := object.Decode(name, data)
	if err != nil {
		r.errs = append(r.errs, err)
		return
	}
	r.objects = append(r.objects, objects...)
}

// isKustomization says whether a file configures Kustomize: by its type, or by
// its name when it gives no type.
func isKustomization(name string, data []byte) bool {
	named := name == "kustomization.yaml" || name == "kustomization.yml"
	if !named && !bytes.Contains(data, []byte("kustomize.config.k8s.io/")) {
		return false
	}
	var typed struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := yaml.Unmarshal(data, &typed); err != nil {
		return false
	}
	if strings.HasPrefix(typed.APIVersion, "kustomize.config.k8s.io/") {
		return typed.Kind == "Kustomization" || typed.Kind == "Component"
	}
	return named && typed.APIVersion == "" && typed.Kind == ""
}
