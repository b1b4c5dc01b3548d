package state

import (
	"slices"

	"tidemark.dev/tidemark/render/object"
)

// Hooks are the hooks of an app that ended for one desired set, so that none is
// started twice for it.
type Hooks struct {
	// Key names the desired set.
	Key string    `json:"key"`
	Ran []HookRan `json:"ran,omitempty"`
}

// HookRan is a hook that ended in one stage.
type HookRan struct {
	ID     object.ID `json:"id"`
	Hook   string    `json:"hook"`
	Failed bool      `json:"failed,omitempty"`
}

// Find gives how a hook ended for a desired set, and whether it did. It works on
// nil, which holds none.
func (h *Hooks) Find(key string, id object.ID, hook string) (HookRan, bool) {
	if h == nil || h.Key != key {
		return HookRan{}, false
	}
	at := slices.IndexFunc(h.Ran, func(r HookRan) bool { return r.ID == id && r.Hook == hook })
	if at < 0 {
		return HookRan{}, false
	}
	return h.Ran[at], true
}

// With gives the hooks with more of them for a desired set; what was known of
// another set is forgotten.
func (h *Hooks) With(key string, ran ...HookRan) *Hooks {
	next := &Hooks{Key: key}
	if h != nil && h.Key == key {
		next.Ran = slices.Clone(h.Ran)
	}
	for _, r := range ran {
		next.Ran = slices.DeleteFunc(next.Ran, func(old HookRan) bool { return old.ID == r.ID && old.Hook == r.Hook })
		next.Ran = append(next.Ran, r)
	}
	return next
}
