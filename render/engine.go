package render

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"reflect"
	"slices"
	"strings"

	"tidemark.dev/tidemark/render/helm"
	"tidemark.dev/tidemark/render/kustomize"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/render/plain"
	"tidemark.dev/tidemark/render/source"
)

// output is what an engine gave, before it is normalised.
type output struct {
	path         string
	engine       string
	objects      []object.Object
	warnings     []string
	inputs       []source.Entry
	chart        *helm.ChartVersion
	dependencies []helm.ChartVersion
	varying      map[object.ID][]string
}

// run picks the engine and runs it.
func run(ctx context.Context, request Request) (out output, err error) {
	out = output{path: path.Clean(cmp.Or(strings.Trim(request.Path, "/"), ".")), engine: request.Spec.Engine}
	if request.Tree == nil {
		// Nothing is read of it: the chart and its values come from elsewhere.
		request.Tree = source.NewTree(nil, nil)
	}
	reads := source.NewRecorder(request.Tree)
	defer func() { out.inputs = merge(out.inputs, reads.Reads()) }()

	remote := request.Spec.Helm.Chart != nil
	if !remote || out.path != "." {
		if _, err := reads.Resolve(out.path); errors.Is(err, fs.ErrNotExist) {
			return out, fmt.Errorf("%s: %w", out.path, ErrNoPath)
		} else if err != nil {
			return out, err
		}
	}
	if out.engine == "" {
		if out.engine, out.warnings, err = detect(reads, out.path, remote); err != nil {
			return out, err
		}
	}
	if err := unused(request.Spec, out); err != nil {
		return out, err
	}
	switch out.engine {
	case EnginePlain:
		err = out.plain(request)
	case EngineKustomize:
		err = out.kustomize(request)
	case EngineHelm:
		err = out.helm(ctx, request, reads)
	default:
		err = fmt.Errorf("engine is %q, not %s, %s or %s", out.engine, EnginePlain, EngineKustomize, EngineHelm)
	}
	return out, err
}

// detect tells the engine by the files in a directory.
func detect(reads *source.Recorder, dir string, remote bool) (engine string, warnings []string, err error) {
	if remote {
		return EngineHelm, nil, nil
	}
	e, err := reads.Resolve(dir)
	if err != nil {
		return "", nil, err
	}
	if e.Mode != source.Directory {
		return EnginePlain, nil, nil
	}
	_, err = reads.Resolve(path.Join(dir, "Chart.yaml"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", nil, err
	}
	chart := err == nil
	file, err := kustomize.Find(reads, dir)
	switch {
	case chart && err == nil:
		return EngineHelm, []string{fmt.Sprintf("%s holds a Chart.yaml and %s: rendered by Helm (render.engine decides)", dir, path.Base(file))}, nil
	case chart:
		return EngineHelm, nil, nil
	case errors.Is(err, kustomize.ErrNoKustomization):
		return EnginePlain, nil, nil
	case err != nil:
		return "", nil, err
	default:
		return EngineKustomize, nil, nil
	}
}

// unused refuses options that would have no effect.
func unused(spec Spec, out output) error {
	for _, engine := range []struct {
		name    string
		options any
	}{{EnginePlain, spec.Plain}, {EngineKustomize, spec.Kustomize}, {EngineHelm, spec.Helm}} {
		if engine.name != out.engine && !reflect.ValueOf(engine.options).IsZero() {
			return fmt.Errorf("%s is rendered by the engine %s, but there are options for %s: remove them, or set render.engine", out.path, out.engine, engine.name)
		}
	}
	return nil
}

func (out *output) plain(request Request) error {
	objects, report, err := plain.Render(request.Tree, out.path, request.Spec.Plain)
	out.objects, out.inputs = objects, report.Inputs
	if err != nil {
		return err
	}
	if len(report.Kustomizations) > 0 && request.Spec.Engine != EnginePlain {
		return fmt.Errorf("%s: is a kustomization below a path that is rendered as plain files: make an app of its own of it, exclude its directory, or set render.engine to plain to read only the files beside it", report.Kustomizations[0])
	}
	return nil
}

func (out *output) kustomize(request Request) error {
	objects, report, err := kustomize.Render(request.Tree, out.path, request.Spec.Kustomize)
	out.objects, out.inputs = objects, report.Inputs
	return err
}

func (out *output) helm(ctx context.Context, request Request, reads *source.Recorder) error {
	rendered, err := helm.Render(ctx, helm.Request{
		Tree:         request.Tree,
		Path:         out.path,
		Release:      request.App,
		Namespace:    cmp.Or(request.Namespace, defaultNamespace),
		Options:      request.Spec.Helm,
		Capabilities: request.Capabilities,
		Charts:       request.Charts,
		Now:          request.Now,
	})
	out.objects, out.varying = rendered.Objects, rendered.Varying
	out.warnings = append(out.warnings, rendered.Warnings...)
	out.dependencies = rendered.Dependencies
	for _, e := range rendered.Inputs {
		// A directory counts by the names in it: not every tree has hashes of
		// directories.
		if e.Mode != source.Directory {
			out.inputs = append(out.inputs, e)
		} else if _, err := reads.ReadDir(e.Path); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	out.chart = &rendered.Chart
	return nil
}

// merge gives the reads of an engine and those that chose it, by path.
func merge(engine, detection []source.Entry) []source.Entry {
	for _, e := range detection {
		if !slices.ContainsFunc(engine, func(o source.Entry) bool { return o.Path == e.Path }) {
			engine = append(engine, e)
		}
	}
	slices.SortFunc(engine, func(a, b source.Entry) int { return strings.Compare(a.Path, b.Path) })
	return engine
}
