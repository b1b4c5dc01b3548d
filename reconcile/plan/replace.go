package plan

import (
	"slices"
	"strings"

	"tidemark.dev/tidemark/render/object"
)

// The annotations (and, for Flux, labels) of a desired object that let it be
// deleted and made again when a field cannot be changed otherwise. Argo CD wants
// both of its options.
var optIns = []struct{ key, value string }{ //nolint:gochecknoglobals // a table
	{"tidemark.dev/replace", "enabled"},
	{"kustomize.toolkit.fluxcd.io/force", "enabled"},
	{"argocd.argoproj.io/sync-options", "Replace=true,Force=true"},
}

// MayReplace says whether an object may be deleted and made again.
func (r Rules) MayReplace(o object.Object) bool {
	if r.Replace {
		return true
	}
	for _, in := range optIns {
		given := options(o.Annotation(in.key) + "," + o.Label(in.key))
		if !slices.ContainsFunc(options(in.value), func(option string) bool { return !slices.Contains(given, option) }) {
			return true
		}
	}
	return false
}

// options gives the options of an annotation, in lower case.
func options(text string) []string {
	var all []string
	for option := range strings.SplitSeq(text, ",") {
		all = append(all, strings.ToLower(strings.TrimSpace(option)))
	}
	return all
}

// replaces decides about a present object of which the server says that fields
// cannot be changed, and says whether it is one.
func (p *Plan) replaces(in Input, o object.Object, live Observed, c Change) bool {
	if live.DryRun == nil || len(live.DryRun.Immutable) == 0 || in.redefined[o.ID.GroupKind()] {
		return false
	}
	fields := strings.Join(live.DryRun.Immutable, ", ")
	if !in.Rules.MayReplace(o) {
		p.refuseObject(RefusedImmutable, o.ID, "%s (%s): %s cannot be changed once the object exists: to have it deleted and made again, annotate it with %s: %s, or say immutable: replace for the app",
			o.ID, o.Origin, fields, optIns[0].key, optIns[0].value)
		return true
	}
	c.Action, c.Note = Replace, fields+" cannot be changed: it is deleted and made again"
	for _, d := range Diff(live.Content, o.Content(), o.IsSecret(), nil) {
		// What the server has filled in is not asked for, and comes again.
		if (d.New != nil || d.Masked) && slices.ContainsFunc(live.DryRun.Immutable, func(field string) bool { return within(d.Path, field) }) {
			c.Diff = append(c.Diff, d)
		}
	}
	p.Changes = append(p.Changes, c)
	return true
}

// within says whether a path is a field, or below it.
func within(path, field string) bool {
	rest, below := strings.CutPrefix(path, field)
	return below && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// guardReplaced holds back the replacing of what is never pruned without
// approval either.
func (p *Plan) guardReplaced(in Input) {
	var held []string
	for _, c := range p.Changes {
		if c.Action != Replace {
			continue
		}
		why, protected := protectedKinds[c.ID.GroupKind()]
		if in.Self[c.ID] {
			why, protected = "this run runs from it", true
		}
		if protected {
			held = append(held, c.ID.String()+" ("+why+")")
		}
	}
	if len(held) > 0 {
		p.refuse(RefusedProtected, "deleting it to make it again needs approval: %s", strings.Join(held, ", "))
	}
}
