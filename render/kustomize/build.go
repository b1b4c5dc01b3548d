package kustomize

import (
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/openapi"

	"tidemark.dev/tidemark/render/object"
)

// building is held by the one build that runs.
var building sync.Mutex //nolint:gochecknoglobals // guards the global state of Kustomize

// build runs Kustomize on a directory with a kustomization file. Its panics become errors, and whatever
// schema the kustomization loaded into the process is forgotten.
func build(f *files, dir, file string, restricted bool) (built resmap.ResMap, err error) {
	building.Lock()
	defer building.Unlock()
	stderr := os.Stderr
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("%s: kustomize broke down: %w", file, discreet(fmt.Errorf("%v", reason)))
		}
		openapi.ResetOpenAPI()
		os.Stderr = stderr
	}()
	os.Stderr = nil // deprecation warnings

	restrictions := types.LoadRestrictionsNone
	if restricted {
		restrictions = types.LoadRestrictionsRootOnly
	}
	built, err = krusty.MakeKustomizer(&krusty.Options{
		Reorder:          krusty.ReorderOptionNone,
		LoadRestrictions: restrictions,
		PluginConfig:     types.DisabledPluginConfig(),
	}).Run(f, outside(dir))
	if err != nil {
		return nil, fmt.Errorf("%s: kustomize: %w", file, discreet(err))
	}
	return built, nil
}

// What Kustomize repeats of a repository's contents in its messages.
var contents = regexp.MustCompile("(?s)`\n.*`|\\[[^]]*\n.*\\]|literal sources \\[.*|invalid literal source .*|patch from \\[.*\\]|value: \\{.*\\}|utf8 bytes : .*")

// What Kustomize adds when it failed to read a resource, because it then tries
// it as a directory.
var secondTry = regexp.MustCompile(`(?s)accumulation err='(.*)': must build at directory: .*`)

// discreetError is an error without the contents that its text repeated.
type discreetError struct {
	text  string
	cause error
}

func (e *discreetError) Error() string { return e.text }
func (e *discreetError) Unwrap() error { return e.cause }

// discreet makes a message of Kustomize fit to be shown: one line, without
// contents of files, with the paths of the repository.
func discreet(err error) error {
	text := secondTry.ReplaceAllString(err.Error(), "$1")
	text = contents.ReplaceAllString(text, "(…)")
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	text = strings.ReplaceAll(text, mount+"/", "")
	text = strings.ReplaceAll(text, mount, ".")
	return &discreetError{text: text, cause: err}
}

// convert makes objects of what was built.
func convert(built resmap.ResMap, dir, file string, metadata []string, o Options) ([]object.Object, error) {
	origins := make([]object.Origin, built.Size())
	for i, r := range built.Resources() {
		origins[i].File = file
		origin, err := r.GetOrigin()
		if err != nil || origin == nil {
			continue
		}
		if from := origin.Path + origin.ConfiguredIn; from != "" {
			origins[i].File = path.Join(dir, from)
		}
	}
	if !slices.Contains(metadata, types.OriginAnnotations) {
		if err := built.RemoveOriginAnnotations(); err != nil {
			return nil, fmt.Errorf("%s: kustomize: %w", file, discreet(err))
		}
	}
	var objects []object.Object
	var errs []error
	for i, r := range built.Resources() {
		data, err := r.MarshalJSON()
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", origins[i], discreet(err)))
			continue
		}
		found, err := object.Decode(origins[i].File, data)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, decoded := range found {
			if len(o.Labels)+len(o.Annotations) > 0 {
				decoded = decoded.WithMetadata(o.Labels, o.Annotations)
			}
			objects = append(objects, decoded)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return objects, nil
}
