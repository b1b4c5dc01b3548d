package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"tidemark.dev/tidemark/render/object"
)

// AnnotationDrift on a desired object says what becomes of its drift, whatever
// its app says: correct, report or off.
const AnnotationDrift = "tidemark.dev/drift"

// Drift is what becomes of what somebody else did to an object.
type Drift string

// What may become of drift. Anything else, and nothing, is DriftCorrect.
const (
	DriftCorrect Drift = "correct" // put right
	DriftReport  Drift = "report"  // shown and left in place
	DriftOff     Drift = "off"     // neither
)

// KindDrift says what becomes of the drift of one kind; an empty Group fits any.
type KindDrift struct {
	Group, Kind string
	Drift       Drift
}

// drift says what becomes of an object's drift.
func (r Rules) drift(o object.Object) Drift {
	said := Drift(o.Annotation(AnnotationDrift))
	if slices.Contains([]Drift{DriftCorrect, DriftReport, DriftOff}, said) {
		return said
	}
	if asks(o, fluxDrift, "disabled") {
		return DriftOff
	}
	for _, k := range r.Kinds {
		if k.Kind == o.ID.Kind && (k.Group == "" || k.Group == o.ID.Group) {
			return k.Drift
		}
	}
	return r.Drift
}

// overlook counts an object whose drift nobody wants to hear of as unchanged.
func (p *Plan) overlook(id object.ID) {
	if p.Overlooked == nil {
		p.Overlooked = map[object.ID]bool{}
	}
	p.Overlooked[id] = true
	p.Unchanged++
}

// Drifts says whether the change is about what somebody else did to an object.
func (c Change) Drifts() bool { return c.Reason == ReasonDrift || c.Reason == ReasonDeleted }

// Manager is the field manager of every apply of ours.
const Manager = "tidemark"

// blame notes in each difference who wrote the live value, and when, as the
// server remembers it.
func blame(diff []FieldDiff, live map[string]any) []FieldDiff {
	metadata, _ := live["metadata"].(map[string]any)
	entries, _ := metadata["managedFields"].([]any)
	for i, d := range diff {
		path := tokens(d.Path)
		for _, entry := range entries {
			e, _ := entry.(map[string]any)
			manager, _ := e["manager"].(string)
			at, _ := e["time"].(string)
			fields, _ := e["fieldsV1"].(map[string]any)
			// Times of one form are in the order of their texts.
			if manager != "" && manager != Manager && at >= diff[i].At && owns(fields, path) {
				diff[i].Manager, diff[i].At = manager, at
			}
		}
	}
	return diff
}

// token is one step of a path: a field, or an item of a list by its key.
type token struct{ field, key, value string }

// tokens cuts a path as FieldDiff has it.
func tokens(path string) []token {
	var cut []token
	for path != "" {
		if rest, inside := strings.CutPrefix(path, "["); inside {
			name, after, _ := strings.Cut(rest, "]")
			key, value, item := strings.Cut(name, "=")
			if item {
				cut = append(cut, token{key: key, value: value})
			} else {
				cut = append(cut, token{field: name})
			}
			path = strings.TrimPrefix(after, ".")
			continue
		}
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			end = len(path)
		}
		cut = append(cut, token{field: path[:end]})
		path = strings.TrimPrefix(path[end:], ".")
	}
	return cut
}

// owns says whether managed fields (fieldsV1) hold a field, or something whole
// that it is in.
func owns(fields map[string]any, path []token) bool {
	for i, t := range path {
		if len(fields) == 0 {
			return i > 0 // what has no parts is owned whole
		}
		next, found := step(fields, t)
		if !found {
			return false
		}
		fields = next
	}
	return true
}

func step(fields map[string]any, t token) (map[string]any, bool) {
	if t.key == "" {
		next, found := fields["f:"+t.field].(map[string]any)
		return next, found
	}
	for name, next := range fields {
		text, isItem := strings.CutPrefix(name, "k:")
		var keys map[string]any
		if isItem && json.Unmarshal([]byte(text), &keys) == nil && keys[t.key] != nil && fmt.Sprint(keys[t.key]) == t.value {
			item, _ := next.(map[string]any)
			return item, true
		}
	}
	return nil, false
}
