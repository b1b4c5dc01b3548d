package ignore

import (
	"context"
	"maps"
	"slices"

	"tidemark.dev/tidemark/render/object"
)

// own is the field manager of every apply of ours.
const own = "tidemark"

// Leave gives the object as it is to be applied over a live one. Of the fields that
// rules name, those that others own are left out, and those that nobody else owns
// have their live value: an apply without them would remove them. A field that
// somebody removed stays away, as long as what it was in is there.
//
// ErrEndless is an expression that takes too long.
func (r Rules) Leave(ctx context.Context, o object.Object, live map[string]any) (object.Object, error) {
	rules := r.on(o)
	if len(rules) == 0 {
		return o, nil
	}
	ways, err := find(ctx, rules, o, live)
	if err != nil || len(ways) == 0 {
		return o, err
	}
	root := spot{live: live, there: true}
	for _, e := range entries(live) {
		root.owners = append(root.owners, owner{ours: ours[e.manager], fields: e.fields})
	}
	content := any(o.Content())
	for _, to := range ways {
		content, _ = leave(content, root, to)
	}
	left, _ := content.(map[string]any)
	return shield(o, left), nil
}

// Bear says whether any rule names fields of the object.
func (r Rules) Bear(o object.Object) bool { return len(r.on(o)) > 0 }

// ours are the managers whose fields are ours: those that applies from a command
// line leave behind are handed over to us.
var ours = map[string]bool{own: true, "kubectl-client-side-apply": true, "kubectl": true, "before-first-apply": true} //nolint:gochecknoglobals // a table

// shield puts back what makes it this object, and ours.
func shield(o object.Object, content map[string]any) object.Object {
	content = maps.Clone(content)
	whole := o.Content()
	content["apiVersion"], content["kind"] = whole["apiVersion"], whole["kind"]
	metadata, _ := content["metadata"].(map[string]any)
	if metadata = maps.Clone(metadata); metadata == nil {
		metadata = map[string]any{}
	}
	for _, field := range []string{"name", "namespace"} {
		if value, given := whole["metadata"].(map[string]any)[field]; given {
			metadata[field] = value
		}
	}
	content["metadata"] = metadata
	labels, annotations := map[string]string{}, map[string]string{}
	for _, key := range []string{object.LabelLedger, object.LabelApp} {
		if value := o.Label(key); value != "" {
			labels[key] = value
		}
	}
	if value := o.Annotation(object.AnnotationID); value != "" {
		annotations[object.AnnotationID] = value
	}
	return o.WithContent(content).WithMetadata(labels, annotations)
}

// owner is a manager's part of what is managed below a spot.
type owner struct {
	ours   bool
	fields map[string]any
}

// spot is where one is in the live object.
type spot struct {
	live  any
	there bool
	// owners are the managers that own the spot, or something below it.
	owners []owner
	// whole: it is part of something that is owned whole, and cannot be left out of
	// it.
	whole bool
	// keys name the item, where it is one of a list.
	keys keys
}

// leave gives a wanted value with the field that a way leads to left to others, and
// whether the value stays wanted.
func leave(want any, at spot, to way) (any, bool) {
	if len(to) == 0 {
		return at.yield(want)
	}
	if !at.there {
		return want, true // it is made with what it holds
	}
	switch step := to[0].(type) {
	case string:
		fields, _ := want.(map[string]any)
		if value, given := fields[step]; given && at.keys[step] == nil {
			fields = maps.Clone(fields)
			if left, stays := leave(value, at.field(step), to[1:]); stays {
				fields[step] = left
			} else {
				delete(fields, step)
			}
			return fields, true
		}
	case int:
		if items, _ := want.([]any); step >= 0 && step < len(items) {
			left, stays := leave(items[step], at.item(items[step], step), to[1:])
			if stays {
				items = slices.Clone(items)
				items[step] = left
				return items, true
			}
			return slices.Concat(items[:step:step], items[step+1:]), true
		}
	}
	return want, true
}

// yield gives a wanted value as it is left to others, and whether anything of it
// stays wanted.
func (s spot) yield(want any) (any, bool) {
	if !s.there {
		return nil, false
	}
	if !s.atomic() {
		switch w := want.(type) {
		case map[string]any:
			if _, same := s.live.(map[string]any); same && len(w) > 0 {
				return s.yieldFields(w)
			}
		case []any:
			if _, same := s.live.([]any); same && s.keyed() {
				return s.yieldItems(w)
			}
		}
	}
	mine, theirs := false, false
	for _, o := range s.owners {
		mine, theirs = mine || o.ours, theirs || !o.ours
	}
	if s.whole || mine && (!theirs || s.mixed()) {
		return s.live, true
	}
	return nil, false
}

func (s spot) yieldFields(want map[string]any) (any, bool) {
	left := map[string]any{}
	for key, value := range want {
		if s.keys[key] != nil {
			left[key] = value
		} else if value, stays := s.field(key).yield(value); stays {
			left[key] = value
		}
	}
	return left, len(left) > 0
}

func (s spot) yieldItems(want []any) (any, bool) {
	left := []any{}
	for i, item := range want {
		if item, stays := s.item(item, i).yield(item); stays {
			left = append(left, item)
		}
	}
	return left, len(left) > 0
}

// atomic says whether the spot is owned whole.
func (s spot) atomic() bool {
	return s.whole || slices.ContainsFunc(s.owners, func(o owner) bool { return len(o.fields) == 0 })
}

// mixed says whether the spot is a list of plain values, of which each has its own
// owners.
func (s spot) mixed() bool {
	return slices.ContainsFunc(s.owners, func(o owner) bool { return len(o.fields) > 0 })
}

// keyed says whether the spot is a list whose items are owned apart.
func (s spot) keyed() bool {
	return slices.ContainsFunc(s.owners, func(o owner) bool {
		for name := range o.fields {
			if _, isItem := keysOf(name); isItem {
				return true
			}
		}
		return false
	})
}

// field gives the spot of one field.
func (s spot) field(key string) spot {
	fields, _ := s.live.(map[string]any)
	below := s.below("f:" + key)
	below.live, below.there = fields[key], fields[key] != nil
	return below
}

// item gives the spot of a wanted item of a list: by its keys, or where the server
// knows none by its position.
func (s spot) item(want any, position int) spot {
	items, _ := s.live.([]any)
	if !s.keyed() {
		below := spot{whole: true, there: position < len(items)}
		if below.there {
			below.live = items[position]
		}
		return below
	}
	for _, o := range s.owners {
		for name := range o.fields {
			k, isItem := keysOf(name)
			if !isItem || !k.fit(want) {
				continue
			}
			below := s.below(name)
			below.keys = k
			at := slices.IndexFunc(items, k.fit)
			if below.there = at >= 0; below.there {
				below.live = items[at]
			}
			return below
		}
	}
	return spot{} // nobody made it yet, or somebody took it away
}

// below gives what the managers own below the spot by a name of managed fields.
func (s spot) below(name string) spot {
	below := spot{whole: s.atomic()}
	for _, o := range s.owners {
		if inner, owned := o.fields[name].(map[string]any); owned {
			below.owners = append(below.owners, owner{o.ours, inner})
		}
	}
	return below
}
