package reconcile

import (
	"bytes"
	"context"
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
	Lineage string `json:"lineage,omitempty"`
	// Cluster is the UID of the kube-system namespace of the cluster that was looked
	// at.
	Cluster string    `json:"cluster,omitempty"`
	Tool    string    `json:"tool"`
	Made    time.Time `json:"made"`
	// Offline: the cluster was not looked at, so that the plan can be shown and not
	// carried out.
	Offline bool `json:"offline,omitempty"`
	// Only are the apps that were selected; empty are all.
	Only     []string   `json:"only,omitempty"`
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

// Hashes gives the hashes of the plans that would write anything, by app.
func (s Saved) Hashes() map[string]string {
	hashes := map[string]string{}
	for _, a := range s.Apps {
		if a.Plan != nil && a.Plan.Acts() {
			hashes[a.Name] = a.Plan.Hash
		}
	}
	return hashes
}

// saved gives the plans of the run as they are kept.
func (r *runner) saved(l *ledger, apps []*app) Saved {
	saved := r.saving()
	saved.Cluster, saved.Warnings = l.cluster, r.report.Record.Warnings
	if l.head.Seq > 0 {
		saved.Lineage = l.head.Lineage
	}
	for _, a := range apps {
		saved.Apps = append(saved.Apps, r.savedApp(a))
	}
	return saved
}

// savePlans gives the plans to the report and, when asked to, to the ledger. That
// they are not there keeps nobody from using them.
func (r *runner) savePlans(ctx context.Context, l *ledger, apps []*app) {
	if r.job.Mode != PlanOnly {
		return
	}
	r.report.Saved = r.saved(l, apps)
	if !r.job.Keep || ctx.Err() != nil {
		return
	}
	data, err := r.report.Saved.Encode()
	if err == nil {
		var ref state.Ref
		if ref, err = r.job.Ledger.Put(ctx, "plan", r.redact(data)); err == nil {
			r.report.Kept = &ref
			return
		}
	}
	r.report.Record.Warnings = append(r.report.Record.Warnings, "the plan could not be put into the ledger: "+err.Error())
}

// save gives the plan of one app as it is kept.
func (r *runner) save(a *app) Saved {
	saved := r.saving()
	saved.Apps = []SavedApp{r.savedApp(a)}
	return saved
}

func (r *runner) saving() Saved {
	return Saved{Format: SavedFormat, Tool: r.job.Tool, Made: r.began.UTC(), Offline: r.job.Offline, Only: r.job.Only, Apps: []SavedApp{}}
}

func (r *runner) savedApp(a *app) SavedApp {
	entry, _ := a.record(r.job.Mode)
	saved := SavedApp{
		Name: a.Name, Verdict: entry.Verdict, Message: entry.Message, From: entry.From,
		Revision: entry.Revision, Chart: entry.Chart, Log: a.log,
	}
	if a.planned {
		one := a.plan
		saved.Plan = &one
	} else {
		saved.Unchanged = entry.Counts.Unchanged
	}
	return saved
}
