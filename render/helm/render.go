package helm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"helm.sh/helm/v4/pkg/chart/common"
	commonutil "helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"

	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/render/source"
)

// Render renders a chart twice and gives the first outcome, with what differs
// in the second. The same request gives the same result, Varying fields apart.
//
// Errors name the chart's file and the reason. A chart repository that does not
// answer is ErrUnreachable; see also ErrNoCapabilities and
// ErrIncomplete. It is safe for
// concurrent use.
func Render(ctx context.Context, request Request) (result Result, err error) {
	// Templates are guarded where they run; this is for what a hostile chart may
	// find in the packages that read it.
	defer func() {
		if problem := recover(); problem != nil {
			result, err = Result{}, fmt.Errorf("the chart cannot be read: %v", problem)
		}
	}()
	return render(ctx, request)
}

func render(ctx context.Context, request Request) (Result, error) {
	tree := request.Tree
	if tree == nil {
		tree = source.NewTree(nil, nil)
	}
	r := source.NewRecorder(tree)
	options := request.Options
	if err := options.check(); err != nil {
		return Result{}, err
	}
	capable, err := capabilities(options, request.Capabilities)
	if err != nil {
		return Result{}, err
	}
	c, result, err := load(ctx, r, request)
	if err != nil {
		return Result{}, err
	}
	set, err := values(r, request.Path, options)
	if err != nil {
		return Result{}, err
	}
	top, err := prepare(c, set, request, capable)
	if err != nil {
		return Result{}, err
	}
	if options.KubeVersion == "" {
		if err := complete(c, top, request.Capabilities.Failing); err != nil {
			return Result{}, err
		}
	}
	first, err := once(ctx, c, top, request, request.now())
	if err != nil {
		return Result{}, err
	}
	second, err := once(ctx, c, top, request, elsewhen(request.now()))
	if err != nil {
		return Result{}, fmt.Errorf("render a second time: %w", err)
	}
	kept, skipped, err := settle(first, options.Hooks)
	if err != nil {
		return Result{}, err
	}
	again, _, err := settle(second, options.Hooks)
	if err != nil {
		return Result{}, err
	}
	if result.Varying, err = varying(kept, again); err != nil {
		return Result{}, err
	}
	result.Objects, result.Warnings, result.Inputs = kept, append(result.Warnings, skipped...), r.Reads()
	return result, nil
}

func (o Options) check() error {
	switch o.Hooks {
	case HooksRun, HooksRefuse, HooksSkip:
	default:
		return fmt.Errorf("hooks: %q is not known (known: %q, %q, or nothing to run them)", o.Hooks, HooksSkip, HooksRefuse)
	}
	switch o.Nondeterministic {
	case "", NondeterministicKeep, NondeterministicApply, NondeterministicRefuse:
	default:
		return fmt.Errorf("nondeterministic: %q is not known (known: %s, %s, %s)", o.Nondeterministic, NondeterministicKeep, NondeterministicApply, NondeterministicRefuse)
	}
	return nil
}

func (r Request) now() time.Time {
	if r.Now.IsZero() {
		return time.Unix(0, 0).UTC()
	}
	return r.Now
}

// elsewhen gives a time that differs in every field a template may show.
func elsewhen(now time.Time) time.Time {
	return now.AddDate(1, 1, 3).Add(time.Hour + time.Minute + time.Second)
}

// load finds the chart, completes it with its dependencies, and says what is
// worth knowing about it.
func load(ctx context.Context, r *source.Recorder, request Request) (*v2.Chart, Result, error) {
	var c *v2.Chart
	var result Result
	dir := path.Clean(strings.TrimPrefix(request.Path, "/"))
	if ref := request.Options.Chart; ref != nil {
		if request.Charts == nil {
			return nil, Result{}, errors.New("charts may not be fetched here")
		}
		found, packed, err := request.Charts.fetch(ctx, *ref, trusted)
		if err != nil {
			return nil, Result{}, err
		}
		if c, err = loadPacked(packed, found); err != nil {
			return nil, Result{}, err
		}
		result.Chart, dir = found, ""
	} else {
		var err error
		if c, err = loadDirectory(r, dir); err != nil {
			return nil, Result{}, err
		}
		result.Chart = ChartVersion{Name: c.Name(), Version: c.Metadata.Version}
	}
	if strings.EqualFold(c.Metadata.Type, "library") {
		return nil, Result{}, fmt.Errorf("chart %s is a library: it gives templates to other charts and has no objects of its own", c.Name())
	}
	d := dependencies{reader: r, charts: request.Charts}
	if err := d.complete(ctx, c, dir, 0); err != nil {
		return nil, Result{}, err
	}
	result.Dependencies, result.Warnings = d.fetched, d.notes
	if c.Metadata.Deprecated {
		result.Warnings = append(result.Warnings, fmt.Sprintf("chart %s %s is deprecated by its authors", c.Name(), c.Metadata.Version))
	}
	return c, result, nil
}

// prepare settles which subcharts count and what values each chart sees, and
// gives what the templates start from.
func prepare(c *v2.Chart, set map[string]any, request Request, capable *common.Capabilities) (common.Values, error) {
	if want := c.Metadata.KubeVersion; want != "" && !chartutil.IsCompatibleRange(want, capable.KubeVersion.String()) {
		return nil, fmt.Errorf("chart %s %s needs Kubernetes %s, and this is %s", c.Name(), c.Metadata.Version, want, capable.KubeVersion.Version)
	}
	if err := chartutil.ProcessDependencies(c, set); err != nil {
		return nil, fmt.Errorf("chart %s: settle its dependencies: %w", c.Name(), err)
	}
	release := common.ReleaseOptions{
		Name:      request.Release,
		Namespace: request.Namespace,
		Revision:  1,
		IsInstall: true,
	}
	if request.Options.ReleaseName != "" {
		release.Name = request.Options.ReleaseName
	}
	if err := chartutil.ValidateReleaseName(release.Name); err != nil {
		return nil, fmt.Errorf("release name %q: %w", release.Name, err)
	}
	const ownCheck = true
	top, err := commonutil.ToRenderValuesWithSchemaValidation(c, set, release, capable, ownCheck)
	if err != nil {
		return nil, fmt.Errorf("chart %s: merge its values: %w", c.Name(), err)
	}
	if request.Options.SkipSchemaValidation {
		return top, nil
	}
	merged, _ := top["Values"].(common.Values)
	return top, checkSchemas(c, merged)
}

// once runs the templates and decodes what they write, CRDs first.
func once(ctx context.Context, c *v2.Chart, top common.Values, request Request, now time.Time) ([]object.Object, error) {
	timeout := request.Timeout
	if timeout <= 0 {
		timeout = time.Minute
	}
	limited, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("they were given %s", timeout))
	defer cancel()
	own := maps.Clone(top)
	own["Values"] = copied(top["Values"])
	written, err := execute(limited, c, own, now)
	if err != nil {
		return nil, err
	}
	var objects []object.Object
	var errs []error
	decode := func(file string, data []byte) {
		found, err := object.DecodeTemplate(file, data)
		objects, errs = append(objects, found...), append(errs, err)
	}
	if include := request.Options.IncludeCRDs; include == nil || *include {
		for _, crd := range c.CRDObjects() {
			decode(crd.Filename, crd.File.Data)
		}
	}
	for _, file := range slices.Sorted(maps.Keys(written)) {
		if path.Base(file) != "NOTES.txt" && strings.TrimSpace(written[file]) != "" {
			decode(file, []byte(written[file]))
		}
	}
	return objects, errors.Join(errs...)
}
