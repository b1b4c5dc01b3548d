// Package kustomize renders directories with a kustomization file, by
// Kustomize's own library in this process.
//
// Laws: a build reads the repository and nothing else. A base, resource or
// patch at a URL, a plugin that would run a program or a container, and Helm
// charts inflated by Kustomize are refused, by the name of the file that asks
// for them, before Kustomize runs. It has no disk, no network and no
// environment: its file system is the tree.
//
// Kustomize keeps state in package variables and prints warnings to os.Stderr,
// so only one build runs at a time, and while it runs os.Stderr is nil: a
// program that writes there must hold its own copy, as loggers do.
package kustomize

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/render/source"
)

// Options add to the kustomization at the app's path, as Flux does: the fields
// are written into that file, in memory, before the build. The zero value
// renders the directory as it is.
type Options struct {
	// Images replace those of the kustomization that have the same name; the
	// others are added.
	Images []Image `json:"images,omitempty"`
	// Patches are added after those of the kustomization.
	Patches []Patch `json:"patches,omitempty"`
	// Namespace, NamePrefix and NameSuffix replace those of the kustomization,
	// unless empty.
	Namespace  string `json:"namespace,omitempty"`
	NamePrefix string `json:"namePrefix,omitempty"`
	NameSuffix string `json:"nameSuffix,omitempty"`
	// Labels and Annotations are set in the metadata of all objects, after the
	// build; selectors and templates are left alone.
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	// Components are directories, relative to the app's path, that are added
	// after those of the kustomization.
	Components []string `json:"components,omitempty"`
	// LoadRestrictions bounds what files a kustomization may name. Leaving the
	// repository is refused in any case.
	LoadRestrictions LoadRestrictions `json:"loadRestrictions,omitempty"`
}

// LoadRestrictions is a bound on the files that a kustomization may name.
type LoadRestrictions string

// The bounds on files. Bases and components may be anywhere in the repository
// under both.
const (
	// RestrictNone allows any file of the repository, as Flux does. Empty means
	// the same.
	RestrictNone LoadRestrictions = "none"
	// RestrictRoot allows only files in or below the directory of the
	// kustomization that names them, as "kustomize build" does.
	RestrictRoot LoadRestrictions = "root"
)

// Image changes the name, tag or digest of a container image, as in the images
// field of a kustomization.
type Image struct {
	Name      string `json:"name"`
	NewName   string `json:"newName,omitempty"`
	NewTag    string `json:"newTag,omitempty"`
	TagSuffix string `json:"tagSuffix,omitempty"`
	Digest    string `json:"digest,omitempty"`
}

// Patch is a strategic merge or JSON 6902 patch, as in the patches field of a
// kustomization. Without a target, the patch itself must name its object.
type Patch struct {
	Patch  string  `json:"patch"`
	Target *Target `json:"target,omitempty"`
}

// Target chooses objects for a patch; the first five are regular expressions.
type Target struct {
	Group              string `json:"group,omitempty"`
	Version            string `json:"version,omitempty"`
	Kind               string `json:"kind,omitempty"`
	Name               string `json:"name,omitempty"`
	Namespace          string `json:"namespace,omitempty"`
	LabelSelector      string `json:"labelSelector,omitempty"`
	AnnotationSelector string `json:"annotationSelector,omitempty"`
}

// Report says what a render did besides giving objects.
type Report struct {
	// Inputs are what was read, as source.Recorder gives it.
	Inputs []source.Entry
}

// The cases in which a kustomization is refused before it is built. Errors name
// the file.
var (
	// ErrNoKustomization: the directory holds no kustomization file.
	ErrNoKustomization = errors.New("holds no kustomization.yaml, kustomization.yml or Kustomization")
	// ErrRemote: something lies at a URL.
	ErrRemote = errors.New("lies outside the repository, and rendering has no network: copy it into the repository")
	// ErrPlugin: a plugin would run a program or a container.
	ErrPlugin = errors.New("would run a program or a container: only the generators and transformers built into Kustomize can be used")
	// ErrHelm: Kustomize is asked to inflate a Helm chart.
	ErrHelm = errors.New("helmCharts runs the helm program: make an app with render.engine helm of it")
)

// FileNames are the names under which Kustomize finds its file.
func FileNames() []string {
	return []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}
}

// Find gives the kustomization file of a directory. None is
// ErrNoKustomization, several are an error too.
func Find(reads *source.Recorder, dir string) (string, error) {
	var found []string
	for _, name := range FileNames() {
		e, err := reads.Resolve(path.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if err == nil && (e.Mode == source.File || e.Mode == source.Executable) {
			found = append(found, path.Join(dir, name))
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("%s: %w", dir, ErrNoKustomization)
	case 1:
		return found[0], nil
	default:
		return "", fmt.Errorf("%s: holds %s and %s: Kustomize wants only one", dir, found[0], found[1])
	}
}

// Render builds the kustomization in a directory of a tree and gives its
// objects, in the order of the build. Each object's origin is the file that it
// came from, or the kustomization that generated it. The report is complete in
// any case.
//
// A missing directory is fs.ErrNotExist; see the Err variables for the rest.
// No error repeats the contents of a Secret. It is safe for concurrent use,
// though builds wait for one another.
func Render(tree *source.Tree, name string, o Options) ([]object.Object, Report, error) {
	reads := source.NewRecorder(tree)
	objects, err := render(reads, path.Clean(name), o)
	return objects, Report{Inputs: reads.Reads()}, err
}

func render(reads *source.Recorder, name string, o Options) ([]object.Object, error) {
	switch o.LoadRestrictions {
	case "", RestrictNone, RestrictRoot:
	default:
		return nil, fmt.Errorf("loadRestrictions is %q, not none or root", o.LoadRestrictions)
	}
	dir, err := reads.Resolve(name)
	if err != nil {
		return nil, err
	}
	file, err := Find(reads, dir.Path)
	if err != nil {
		return nil, err
	}
	written, err := reads.ReadFile(file)
	if err != nil {
		return nil, err
	}
	edited, options, err := edit(file, written, o)
	if err != nil {
		return nil, err
	}
	s := survey{reads: reads, edited: map[string][]byte{file: edited}}
	if err := s.kustomization(dir.Path, false); err != nil {
		return nil, err
	}
	built, err := build(&files{reads: reads, edited: s.edited}, dir.Path, file, o.LoadRestrictions == RestrictRoot)
	if err != nil {
		return nil, errors.Join(err, s.broken())
	}
	return convert(built, dir.Path, file, options, o)
}
