package helm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"runtime"
	"slices"
	"strings"
	"text/template"
	"time"

	"helm.sh/helm/v4/pkg/chart"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/v2"
)

const (
	// maxNesting is how deep include and tpl may stand in each other. Helm allows
	// 1,000 includes of each name; here the error grows at each level, and real
	// charts stay below 20.
	maxNesting = 250
	// maxFrames is how deep the stack may be when include or tpl begins: a
	// {{template}} that nests itself is stopped only after 100,000 levels, and
	// then once more in each include.
	maxFrames = 50_000
	// maxOutput bounds what templates write, in bytes; what is written into an
	// include counts there and again where it is used.
	maxOutput = 128 << 20
	// grace is how long templates get to notice that their time is over.
	grace = time.Second
)

var (
	errNesting = fmt.Errorf("include and tpl stand more than %d deep in each other: does a template or a value use itself?", maxNesting)
	errOutput  = fmt.Errorf("the templates write more than %d MiB", maxOutput>>20)
)

// run is one run of a chart's templates. It is used by one goroutine.
type run struct {
	over    func() error // says why the run must stop, nil while it may go on
	nesting int
	written int64
}

// execute runs all templates of a chart and its subcharts and gives what each
// wrote, by the path that Helm gives it: "web/templates/service.yaml". Partials,
// whose names begin with "_", give nothing. The values are edited by templates
// that do so.
//
// Templates notice that ctx is over when they next write, include or call tpl.
// Those that never do are left behind, and go on in the background.
func execute(ctx context.Context, c *v2.Chart, top common.Values, now time.Time) (map[string]string, error) {
	type outcome struct {
		files map[string]string
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		var o outcome
		defer func() {
			if problem := recover(); problem != nil {
				o = outcome{err: fmt.Errorf("a template function panics: %v", problem)}
			}
			done <- o
		}()
		o.files, o.err = (&run{over: ctx.Err}).all(c, top, now)
	}()
	select {
	case o := <-done:
		if o.err == nil || ctx.Err() == nil {
			return o.files, o.err
		}
	case <-ctx.Done():
		select {
		case <-done:
		case <-time.After(grace):
		}
	}
	return nil, fmt.Errorf("the templates take too long: %w", context.Cause(ctx))
}

// templateFile is one template and what it sees.
type templateFile struct {
	name, text, basePath string
	scope                map[string]any
}

func (r *run) all(c *v2.Chart, top common.Values, now time.Time) (map[string]string, error) {
	files, _, err := templates(c, top)
	if err != nil {
		return nil, err
	}
	// A chart overrides what its subcharts define, so those are parsed first. The
	// order in which templates run shows when they edit values; it is Helm's.
	slices.SortFunc(files, func(a, b templateFile) int {
		return -cmp.Or(cmp.Compare(strings.Count(a.name, "/"), strings.Count(b.name, "/")), cmp.Compare(a.name, b.name))
	})
	set := template.New("gotpl").Option("missingkey=zero").Funcs(functions(now))
	r.bind(set)
	for _, f := range files {
		if _, err := set.New(f.name).Parse(f.text); err != nil {
			return nil, explain(f.name, err)
		}
	}
	written := make(map[string]string, len(files))
	for _, f := range files {
		if strings.HasPrefix(path.Base(f.name), "_") {
			continue
		}
		f.scope["Template"] = common.Values{"Name": f.name, "BasePath": f.basePath}
		var b strings.Builder
		if err := set.ExecuteTemplate(r.writer(&b), f.name, f.scope); err != nil {
			return nil, explain(f.name, err)
		}
		written[f.name] = withoutNoValue(b.String())
	}
	return written, nil
}

// templates gives the templates of a chart and its subcharts with their scopes:
// a subchart sees its own section of the values, and a library chart gives only
// partials.
func templates(c *v2.Chart, above map[string]any) ([]templateFile, map[string]any, error) {
	accessor, err := chart.NewAccessor(c)
	if err != nil {
		return nil, nil, err
	}
	metadata := accessor.MetadataAsMap()
	metadata["IsRoot"] = c.IsRoot()
	subcharts := map[string]any{}
	scope := map[string]any{
		"Chart":        metadata,
		"Files":        newFiles(c.Files),
		"Release":      above["Release"],
		"Capabilities": above["Capabilities"],
		"Values":       common.Values{},
		"Subcharts":    subcharts,
	}
	if c.IsRoot() {
		scope["Values"] = above["Values"]
	} else if own, err := common.Values(above).Table("Values." + c.Name()); err == nil {
		scope["Values"] = own
	}
	var files []templateFile
	for _, d := range c.Dependencies() {
		found, below, err := templates(d, scope)
		if err != nil {
			return nil, nil, err
		}
		files = append(files, found...)
		subcharts[d.Name()] = below
	}
	for _, f := range c.Templates {
		if accessor.IsLibraryChart() && !strings.HasPrefix(path.Base(f.Name), "_") {
			continue
		}
		files = append(files, templateFile{
			name:     path.Join(c.ChartFullPath(), f.Name),
			text:     string(f.Data),
			basePath: path.Join(c.ChartFullPath(), "templates"),
			scope:    scope,
		})
	}
	return files, scope, nil
}

// bind gives a set of templates its own include and tpl.
func (r *run) bind(set *template.Template) {
	set.Funcs(template.FuncMap{
		"include": func(name string, data any) (string, error) {
			return r.nest(func(w io.Writer) error { return set.ExecuteTemplate(w, name, data) })
		},
		"tpl": func(text string, data any) (string, error) {
			if !strings.Contains(text, "{{") {
				return withoutNoValue(text), nil
			}
			// What the text defines is seen by what it includes, and by nobody
			// else.
			inner, err := set.Clone()
			if err != nil {
				return "", err
			}
			r.bind(inner.Option("missingkey=zero"))
			parsed, err := inner.New(set.Name()).Parse(text)
			if err != nil {
				return "", err
			}
			out, err := r.nest(func(w io.Writer) error { return parsed.Execute(w, data) })
			return withoutNoValue(out), err
		},
	})
}

// nest runs a template inside another one.
func (r *run) nest(execute func(io.Writer) error) (string, error) {
	r.nesting++
	defer func() { r.nesting-- }()
	if r.nesting > maxNesting || runtime.Callers(maxFrames, make([]uintptr, 1)) > 0 {
		return "", errNesting
	}
	var b strings.Builder
	err := execute(r.writer(&b))
	return b.String(), err
}

// writer lets a template write until its time or its share of memory is over.
func (r *run) writer(b *strings.Builder) io.Writer { return bounded{run: r, to: b} }

type bounded struct {
	run *run
	to  *strings.Builder
}

func (w bounded) Write(data []byte) (int, error) {
	if err := w.run.over(); err != nil {
		return 0, err
	}
	if w.run.written += int64(len(data)); w.run.written > maxOutput {
		return 0, errOutput
	}
	return w.to.Write(data)
}

// withoutNoValue drops what text/template writes for a value that is not there.
func withoutNoValue(text string) string { return strings.ReplaceAll(text, "<no value>", "") }

// copied gives values that templates may edit without the next run seeing it.
func copied(value any) any {
	switch v := value.(type) {
	case common.Values:
		return common.Values(copied(map[string]any(v)).(map[string]any))
	case map[string]any:
		c := maps.Clone(v)
		for key := range c {
			c[key] = copied(c[key])
		}
		return c
	case []any:
		c := slices.Clone(v)
		for i := range c {
			c[i] = copied(c[i])
		}
		return c
	default:
		return value
	}
}

// explain gives an error of text/template as a list of places, outermost first,
// with the reason at its end. The source text that the library repeats is left
// out, and so is all that one error would need a page for.
func explain(file string, err error) error {
	for _, known := range []error{errNesting, errOutput} {
		if errors.Is(err, known) {
			return fmt.Errorf("%s: %w", file, known)
		}
	}
	text := place.ReplaceAllString(err.Error(), "$1: ")
	text = calling.ReplaceAllString(text, "")
	text = strings.TrimPrefix(text, "template: ")
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "") + " …"
	}
	return errors.New(text)
}
