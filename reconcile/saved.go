package reconcile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/source"
	"tidemark.dev/tidemark/state"
)

// SavedFormat is the version of saved plans that this package writes.
const SavedFormat = 1

// Saved is a plan that can be kept, shown, and carried out later, exactly as it
// is. It holds no value of a Secret.
type Saved struct {
	Format int `json:"format"`
	// Lineage is that of the ledger it was made for; empty when that had no run
	// yet.
	Lineage string    `json:"lineage,omitempty"`
	Tool    string    `json:"tool"`
	Made    time.Time `json:"made"`
	// Offline: the cluster was not looked at.
	Offline  bool       `json:"offline,omitempty"`
	Apps     []SavedApp `json:"apps"`
	Warnings []string   `json:"warnings,omitempty"`
}

// SavedApp is the part of one app.
type SavedApp struct {
	Name string `json:"name"`
	// Verdict and Message say what stood in the way of a plan, or against it.
	Verdict state.Verdict `json:"verdict"`
	Message string        `json:"message,omitempty"`
	// From is what was applied before, Revision and Chart what is wanted.
	From     string          `json:"from,omitempty"`
	Revision *state.Revision `json:"revision,omitempty"`
	Chart    *state.Chart    `json:"chart,omitempty"`
	// Log lists the commits from the one to the other, nil when nobody asked.
	Log *source.Log `json:"log,omitempty"`
	// Unchanged counts the objects of an app of which nothing moved.
	Unchanged int `json:"unchanged,omitempty"`
	// Plan is nil when nothing moved, or none could be made.
	Plan *plan.Plan `json:"plan"`
}

// Encode gives the bytes to keep.
func (s Saved) Encode() ([]byte, error) {
	s.Format = SavedFormat
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(s); err != nil {
		return nil, fmt.Errorf("encode plan: %w", err)
	}
	return out.Bytes(), nil
}

// DecodeSaved reads what Encode gave.
func DecodeSaved(data []byte) (Saved, error) {
	var s Saved
	if err := json.Unmarshal(data, &s); err != nil {
		return Saved{}, fmt.Errorf("decode plan: %w", err)
	}
	switch {
	case s.Format > SavedFormat:
		return Saved{}, fmt.Errorf("decode plan: it has format %d, written by a newer Tidemark; this one reads up to %d", s.Format, SavedFormat)
	case s.Format < 1:
		return Saved{}, errors.New("decode plan: this is not a plan that was saved")
	}
	return s, nil
}

// Hashes gives the plans that change anything, by app.
func (s Saved) Hashes() map[string]string {
	hashes := map[string]string{}
	for _, a := range s.Apps {
		if a.Plan != nil {
			hashes[a.Name] = a.Plan.Hash
		}
	}
	return hashes
}

// save gives the plan of one app as it is kept.
func (r *runner) save(a *app) Saved {
	saved := Saved{Tool: r.job.Tool, Made: r.began.UTC()}
	if entry, _ := a.record(r.job.Mode); a.planned {
		one := a.plan
		saved.Apps = []SavedApp{{
			Name: a.Name, Verdict: entry.Verdict, Message: entry.Message, From: entry.From,
			Revision: entry.Revision, Chart: entry.Chart, Log: a.log, Plan: &one,
		}}
	}
	return saved
}
