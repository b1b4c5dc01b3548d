package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tidemark.dev/tidemark/reconcile/window"
	"tidemark.dev/tidemark/state"
)

// SyncWindow says when runs may act, in the words of Argo CD: outside of it, or
// inside, what would be done waits. Deny wins over allow; where windows allow an
// app, it is acted on only inside one of them.
type SyncWindow struct {
	// Kind: acting is allowed in the window (allow), or denied (deny).
	Kind string `json:"kind" required:"true" oneof:"allow deny"`
	// Schedule says when the window opens, in cron's five fields.
	Schedule string `json:"schedule" required:"true"`
	// Duration is how long it stays open.
	Duration state.Duration `json:"duration" required:"true"`
	// TimeZone is that of the schedule, such as Europe/Paris. Default UTC.
	TimeZone string `json:"timeZone,omitempty"`
	// Apps are names or patterns (shop-*). Default: every app.
	Apps []string `json:"apps,omitempty"`
	// ManualSync lets runs act that a person starts: from the command line, or as
	// a job made by hand.
	ManualSync bool `json:"manualSync,omitempty"`
}

// Window gives the window as it is judged by.
func (w SyncWindow) Window() (window.Window, error) {
	return window.New(window.Spec{
		Kind: w.Kind, Schedule: w.Schedule, Duration: time.Duration(w.Duration), TimeZone: w.TimeZone, Apps: w.Apps, ManualSync: w.ManualSync,
	})
}

func (c check) syncWindows() {
	names := c.config.Names()
	for i, w := range c.config.SyncWindows {
		field := fmt.Sprintf("syncWindows[%d]", i)
		if w.Kind == "" || w.Schedule == "" || w.Duration == 0 {
			continue // said already
		}
		if _, err := w.Window(); err != nil {
			at, text, _ := strings.Cut(err.Error(), ": ")
			c.add(field+"."+at, "%s", text)
		}
		for j, name := range w.Apps {
			if !strings.ContainsAny(name, `*?[\`) && !slices.Contains(names, name) {
				c.add(fmt.Sprintf("%s.apps[%d]", field, j), "there is no app named %q%s", name, didYouMean(name, names))
			}
		}
	}
}
