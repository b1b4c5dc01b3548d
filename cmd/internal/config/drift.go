package config

import (
	"slices"
	"strings"

	"tidemark.dev/tidemark/reconcile/ignore"
	"tidemark.dev/tidemark/reconcile/plan"
)

// Drift says what becomes of what others change. A mode alone stands for all kinds.
type Drift struct {
	// Mode: drift is put right (correct), only told (report), or neither (off). An
	// object says otherwise by the annotation tidemark.dev/drift. Default correct.
	Mode string `json:"mode,omitempty" oneof:"correct report off" short:"true"`
	// Kinds say otherwise for the objects of some kinds. The first that fits decides,
	// an app's before those of the defaults.
	Kinds []KindDrift `json:"kinds,omitempty"`
}

// KindDrift is the mode for one kind.
type KindDrift struct {
	// Group of the API. Default: any.
	Group string `json:"group,omitempty"`
	// Kind of the objects.
	Kind string `json:"kind" required:"true"`
	// Mode as above.
	Mode string `json:"mode" required:"true" oneof:"correct report off"`
}

func (d Drift) withDefaults(defaults Drift) Drift {
	return Drift{Mode: or(d.Mode, defaults.Mode, "correct"), Kinds: slices.Concat(d.Kinds, defaults.Kinds)}
}

// Modes gives the modes as a plan takes them.
func (d Drift) Modes() (mode plan.Drift, kinds []plan.KindDrift) {
	for _, k := range d.Kinds {
		kinds = append(kinds, plan.KindDrift{Group: k.Group, Kind: k.Kind, Drift: plan.Drift(k.Mode)})
	}
	return plan.Drift(d.Mode), kinds
}

// Ignored compiles the rules for fields that are left to others.
func (p Policy) Ignored() (ignore.Rules, error) { return ignore.Compile(p.Ignore, p.IgnoreDifferences) }

// ignored finds what is wrong with those rules. Problems come in a list.
func (c check) ignored(field string, p Policy) {
	_, err := p.Ignored()
	if err == nil {
		return
	}
	for line := range strings.Lines(err.Error()) {
		at, problem, _ := strings.Cut(strings.TrimSpace(line), ": ")
		c.add(field+"."+at, "%s", problem)
	}
}
