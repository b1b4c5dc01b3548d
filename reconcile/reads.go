package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"tidemark.dev/tidemark/render/source"
	"tidemark.dev/tidemark/state"
)

// What the last rendering of an app read tells whether a commit brings anything
// new for it. An entry belongs to the rendering that App.Inputs of the head stands
// for, always: one that is not known to is dropped, and costs a rendering.

// compare finds the apps of which only the commit moved: their rendering read
// nothing that the new one changed. For that it fetches the commit's directories
// down to those of the apps, and what is in the ones that changed.
func (r *runner) compare(ctx context.Context, l *ledger, apps []*app) error {
	defer r.stage("compare")()
	read := map[*app]state.AppReads{}
	for _, a := range apps {
		if a.err != nil || a.fixed != nil || a.prior.Inputs == "" || a.prior.Inputs == a.inputs || a.revision.Commit == "" {
			continue
		}
		reads, err := r.recallReads(ctx, l)
		if err != nil {
			return err
		}
		last, known := reads[a.Name]
		if !known || last.Rest != a.rest {
			continue
		}
		revision, err := a.Source.Fetch(ctx, a.revision)
		if err != nil {
			a.err = fmt.Errorf("fetch: %w", within(ctx, err))
			continue
		}
		if a.revision = revision; revision.Tree == nil {
			continue
		}
		questions := last.Outline.Questions
		if questions == "" {
			questions = last.Whole.Questions
		}
		revision.Tree.ExpectQuestions(questions)
		read[a] = last
	}
	// What it takes to compare all apps comes together, first by their outlines.
	compared := slices.DeleteFunc(slices.Clone(apps), func(a *app) bool { _, known := read[a]; return !known })
	for _, a := range compared {
		a.same = a.gives(ctx, read[a].Outline)
	}
	compared = slices.DeleteFunc(compared, func(a *app) bool { return a.same })
	for _, a := range compared {
		a.revision.Tree.ExpectDirectories(a.Paths...)
		a.revision.Tree.ExpectQuestions(read[a].Whole.Questions)
		// Most likely it will be rendered.
		a.revision.Tree.Expect(source.FilesIn(read[a].Whole.Questions)...)
	}
	for _, a := range compared {
		a.same = a.gives(ctx, read[a].Whole)
	}
	return nil
}

// gives says whether the app's tree answers as the one did that was rendered.
func (a *app) gives(ctx context.Context, last state.Asked) bool {
	return a.revision.Tree.Within(ctx).Answer(last.Questions) == last.Answers
}

// reads gives what the app's rendering read, if it can be asked again.
func (a *app) reads() (state.AppReads, bool) {
	if a.rendered.Reads == nil || a.revision.Tree == nil {
		return state.AppReads{}, false
	}
	outline := a.revision.Tree.Outline(a.rendered.Reads, a.Paths...)
	few, known := source.Questions(outline)
	all, also := source.Questions(a.rendered.Reads)
	read := state.AppReads{Rest: a.rest, Whole: state.Asked{Questions: all, Answers: source.Answers(a.rendered.Reads)}}
	if len(outline) < len(a.rendered.Reads) {
		read.Outline = state.Asked{Questions: few, Answers: source.Answers(outline)}
	}
	return read, known && also
}

// sameInputs says whether rendering would give what was last applied in full.
func (a *app) sameInputs() bool {
	return a.prior.Inputs != "" && (a.same || a.prior.Inputs == a.inputs)
}

// recallReads gives what the last renderings read. What is lost costs a
// rendering, and nothing else.
func (r *runner) recallReads(ctx context.Context, l *ledger) (map[string]state.AppReads, error) {
	if l.reads != nil || l.head.Reads == nil {
		return l.reads, nil
	}
	data, err := r.job.Ledger.Read(ctx, *l.head.Reads)
	var reads state.Reads
	if err == nil {
		reads, err = state.DecodeReads(data)
	}
	switch {
	case errors.Is(err, state.ErrDamaged), errors.Is(err, state.ErrNewer):
		r.warn("what the last run read of the repositories is lost, everything is rendered: " + err.Error())
		l.reads = map[string]state.AppReads{}
	case err != nil:
		return nil, fmt.Errorf("load state: %w", within(ctx, err))
	default:
		l.reads = reads.Apps
	}
	return l.reads, nil
}

// keepReads stores what the renderings of this run read; nil when that is stored
// already.
func (r *runner) keepReads(ctx context.Context, l *ledger, ends []settled) (*state.Ref, error) {
	now, changed := maps.Clone(l.reads), false
	if now == nil {
		now = map[string]state.AppReads{}
	}
	for _, end := range ends {
		a := end.app
		if !end.complete || a.untouched || a.prior.Inputs == a.inputs {
			continue
		}
		changed = true
		delete(now, a.Name)
		if reads, known := a.reads(); known {
			now[a.Name] = reads
		}
	}
	if !changed {
		return nil, nil
	}
	maps.DeleteFunc(now, func(name string, _ state.AppReads) bool { _, known := l.holdings[name]; return !known })
	data, err := state.Reads{Apps: now}.Encode()
	if err != nil {
		return nil, err
	}
	ref, err := r.job.Ledger.Put(ctx, "reads", data)
	return &ref, err
}
