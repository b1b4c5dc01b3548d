package kustomize

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/types"

	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/render/source"
)

// survey walks everything that a kustomization names, before Kustomize does,
// and refuses what a build must not do. It reads kustomizations with Kustomize's
// own parser, so that both see the same.
type survey struct {
	reads  *source.Recorder
	edited map[string][]byte

	trail     []string
	visited   map[visit]bool
	resources []string
}

// visit is a directory that was walked; as configuration of plugins or not.
type visit struct {
	dir     string
	plugins bool
}

// kustomization checks the kustomization of a directory, whose path is resolved,
// and all that it names. One that gives plugins their configuration must not
// change what it loads, since only what is written can be checked.
func (s *survey) kustomization(dir string, plugins bool) error {
	if slices.Contains(s.trail, dir) {
		return fmt.Errorf("%s: names itself as a base: %s", dir, strings.Join(append(s.trail, dir), " → "))
	}
	if s.visited[visit{dir, plugins}] {
		return nil
	}
	file, err := Find(s.reads, dir)
	if err != nil {
		return err
	}
	k, err := s.read(file)
	if err != nil {
		return err
	}
	s.trail = append(s.trail, dir)
	defer func() { s.trail = s.trail[:len(s.trail)-1] }()
	if plugins && !onlyResources(k) {
		return fmt.Errorf("%s: configures generators, transformers or validators: only its resources can be checked, so it must hold nothing else", file)
	}
	c := checker{survey: s, file: file, dir: dir}
	c.kustomization(k, plugins)
	if err := errors.Join(c.errs...); err != nil {
		return err
	}
	if s.visited == nil {
		s.visited = map[visit]bool{}
	}
	s.visited[visit{dir, plugins}] = true
	return nil
}

func (s *survey) read(file string) (types.Kustomization, error) {
	data, ok := s.edited[file]
	if !ok {
		var err error
		if data, err = s.reads.ReadFile(file); err != nil {
			return types.Kustomization{}, err
		}
	}
	return parse(file, data)
}

func onlyResources(k types.Kustomization) bool {
	k.Resources = nil
	k.MetaData = nil
	return k.CheckEmpty() != nil
}

// checker checks one kustomization and collects what is wrong with it.
type checker struct {
	*survey
	file string
	dir  string
	errs []error
}

func (c *checker) refuse(field, name string, err error) {
	c.errs = append(c.errs, fmt.Errorf("%s: %s: %s: %w", c.file, field, name, err))
}

func (c *checker) kustomization(k types.Kustomization, plugins bool) {
	if len(k.HelmCharts) > 0 || k.HelmGlobals != nil {
		c.errs = append(c.errs, fmt.Errorf("%s: %w", c.file, ErrHelm))
	}
	for _, name := range k.Resources {
		c.resource("resources", name, plugins)
	}
	for _, name := range k.Components {
		c.directory("components", name)
	}
	for _, name := range k.Crds {
		c.mustExist("crds", name)
	}
	for _, name := range k.Configurations {
		c.mustExist("configurations", name)
	}
	for _, entry := range k.Generators {
		c.plugin("generators", entry)
	}
	for _, entry := range k.Transformers {
		c.plugin("transformers", entry)
	}
	for _, entry := range k.Validators {
		c.plugin("validators", entry)
	}
	for _, p := range k.Patches {
		c.optional("patches", p.Path)
	}
	for _, p := range k.PatchesJson6902 { //nolint:staticcheck // Old repositories still use it.
		c.optional("patchesJson6902", p.Path)
	}
	for _, p := range k.PatchesStrategicMerge { //nolint:staticcheck // Old repositories still use it.
		c.pathOrText("patchesStrategicMerge", string(p))
	}
	for _, r := range k.Replacements {
		c.optional("replacements", r.Path)
	}
	for _, g := range k.ConfigMapGenerator {
		c.sources("configMapGenerator", g.KvPairSources)
	}
	for _, g := range k.SecretGenerator {
		c.sources("secretGenerator", g.KvPairSources)
	}
	c.optional("openapi", k.OpenAPI["path"])
}

func (c *checker) optional(field, name string) {
	if name != "" {
		c.mustExist(field, name)
	}
}

func (c *checker) sources(field string, from types.KvPairSources) {
	for _, name := range slices.Concat(from.EnvSources, []string{from.EnvSource}) {
		c.optional(field, name)
	}
	for _, name := range from.FileSources {
		// KEY=PATH or PATH.
		if _, after, found := strings.Cut(name, "="); found && !isRemote(name) {
			name = after
		}
		c.optional(field, name)
	}
}

// pathOrText checks what Kustomize takes for a path or for the text itself,
// whichever it can read.
func (c *checker) pathOrText(field, value string) {
	if strings.Contains(value, "\n") {
		return
	}
	if _, err := c.locate(field, value); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.errs = append(c.errs, err)
	}
}

func (c *checker) mustExist(field, name string) {
	if _, err := c.locate(field, name); err != nil {
		c.errs = append(c.errs, err)
	}
}

// locate resolves a path that a field of the kustomization names.
func (c *checker) locate(field, name string) (source.Entry, error) {
	if isRemote(name) {
		return source.Entry{}, fmt.Errorf("%s: %s: %s: %w", c.file, field, withoutCredentials(name), ErrRemote)
	}
	if path.IsAbs(name) {
		return source.Entry{}, fmt.Errorf("%s: %s: %s: is an absolute path: write it relative to %s", c.file, field, name, c.file)
	}
	joined := path.Join(c.dir, name)
	e, err := c.reads.Resolve(joined)
	if err != nil {
		return source.Entry{}, fmt.Errorf("%s: %s: %w", c.file, field, err)
	}
	return e, nil
}

// resource checks a file of objects or a base.
func (c *checker) resource(field, name string, plugins bool) {
	e, err := c.locate(field, name)
	switch {
	case err != nil:
		c.errs = append(c.errs, err)
	case e.Mode == source.Submodule:
		c.refuse(field, name, source.ErrSubmodule)
	case e.Mode == source.Directory:
		c.walk(field, e.Path, plugins)
	case plugins:
		data, err := c.reads.ReadFile(path.Join(c.dir, name))
		if err != nil {
			c.errs = append(c.errs, err)
			return
		}
		c.pluginConfig(e.Path, data)
	default:
		c.resources = append(c.resources, path.Join(c.dir, name))
	}
}

// broken says which files of objects cannot be read, by our own rules: after a
// build that failed it often tells more than Kustomize does.
func (s *survey) broken() error {
	var errs []error
	for _, file := range s.resources {
		data, err := s.reads.ReadFile(file)
		if err == nil {
			_, err = object.Decode(file, data)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (c *checker) directory(field, name string) {
	e, err := c.locate(field, name)
	switch {
	case err != nil:
		c.errs = append(c.errs, err)
	case e.Mode == source.Submodule:
		c.refuse(field, name, source.ErrSubmodule)
	case e.Mode != source.Directory:
		c.refuse(field, name, errors.New("is not a directory"))
	default:
		c.walk(field, e.Path, false)
	}
}

func (c *checker) walk(field, dir string, plugins bool) {
	err := c.survey.kustomization(dir, plugins)
	if errors.Is(err, ErrNoKustomization) {
		err = fmt.Errorf("%s: %s: %w", c.file, field, err)
	}
	if err != nil {
		c.errs = append(c.errs, err)
	}
}

var (
	scheme = regexp.MustCompile(`(?i)^[a-z][a-z0-9+.-]*://|^https?:|^git::`)
	scp    = regexp.MustCompile(`(?i)^[a-z][a-z0-9-]*@`)
	github = regexp.MustCompile(`(?i)^(github\.com[/:]|gh:)`)
)

// isRemote says whether Kustomize could take a path for a URL. It must never
// say no where Kustomize says yes; a local path that looks like a URL is refused
// too. See NewRepoSpecFromURL and IsRemoteFile of sigs.k8s.io/kustomize/api.
func isRemote(name string) bool {
	return scheme.MatchString(name) || scp.MatchString(name) || github.MatchString(name)
}

// withoutCredentials gives a URL without user, password and query.
func withoutCredentials(url string) string {
	url, _, _ = strings.Cut(url, "?")
	before, rest, found := strings.Cut(url, "://")
	if !found {
		return url
	}
	host, tail, _ := strings.Cut(rest, "/")
	return before + "://" + host[strings.LastIndexByte(host, '@')+1:] + "/" + tail
}
