// Package window tells whether an app may be acted on now: a Window opens by a
// cron schedule, in a time zone, for a duration, and allows or denies acting on
// apps, in the words of Argo CD's sync windows.
//
// Laws: pure, a time comes in and an answer goes out. A schedule fires at every
// instant whose wall clock it matches, twice when clocks go back; what falls into
// the hour that clocks skip fires at its end, so that no window is left out.
package window

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // Images of one file hold no time zones.

	"github.com/robfig/cron/v3"
)

// The kinds of windows.
const (
	Allow = "allow"
	Deny  = "deny"
)

// Spec is a window as people write it.
type Spec struct {
	// Kind is Allow or Deny.
	Kind string
	// Schedule says when it opens, in cron's five fields.
	Schedule string
	Duration time.Duration
	// TimeZone is that of the schedule, by its IANA name; empty is UTC.
	TimeZone string
	// Apps are the names, or patterns of path.Match, that it is for; empty is
	// every app.
	Apps []string
	// ManualSync: runs that a person starts may act all the same.
	ManualSync bool
}

// Window is a Spec that was understood. It is safe for concurrent use.
type Window struct {
	Spec
	schedule *cron.SpecSchedule
	zone     *time.Location
}

// New understands a window. The error begins with the field that it is about.
func New(s Spec) (Window, error) {
	w := Window{Spec: s}
	if s.Kind != Allow && s.Kind != Deny {
		return Window{}, fmt.Errorf("kind: %q is neither %s nor %s", s.Kind, Allow, Deny)
	}
	if s.Duration <= 0 {
		return Window{}, errors.New("duration: is required, and longer than nothing")
	}
	var err error
	if w.zone, err = time.LoadLocation(s.TimeZone); err != nil {
		return Window{}, fmt.Errorf("timeZone: %q is no time zone that is known, such as Europe/Paris", s.TimeZone)
	}
	if w.schedule, err = parse(s.Schedule); err != nil {
		return Window{}, fmt.Errorf("schedule: %w", err)
	}
	if _, fires := w.next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)); !fires {
		return Window{}, fmt.Errorf("schedule: %q never comes", s.Schedule)
	}
	for _, pattern := range s.Apps {
		if _, err := path.Match(pattern, ""); err != nil {
			return Window{}, fmt.Errorf("apps: %q is no pattern", pattern)
		}
	}
	return w, nil
}

func parse(text string) (*cron.SpecSchedule, error) {
	if strings.Contains(text, "=") { // it would name a time zone, which has its own field
		return nil, fmt.Errorf("%q is not five fields of cron", text)
	}
	parsed, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse(text)
	schedule, ok := parsed.(*cron.SpecSchedule)
	if err != nil || !ok {
		return nil, fmt.Errorf("%q is not five fields of cron: %w", text, err)
	}
	return schedule, nil
}

// Verdict says whether an app may be acted on and, if not, why and until when.
type Verdict struct {
	Open bool
	// Why names the windows that stand in the way.
	Why string
	// Next is when it may be; zero when that is not known.
	Next time.Time
}

// Judge says whether an app may be acted on at a time; manual says that a person
// asks. Deny wins over allow. Where windows allow the app, it may be acted on only
// inside one of them.
func Judge(windows []Window, app string, manual bool, now time.Time) Verdict {
	windows = slices.DeleteFunc(slices.Clone(windows), func(w Window) bool { return !w.covers(app) })
	against := closing(windows, manual, now)
	if len(against) == 0 {
		return Verdict{Open: true}
	}
	var names []string
	for _, w := range against {
		names = append(names, w.String())
	}
	why := "a window denies it: "
	if against[0].Kind == Allow {
		why = "it is outside of the windows that allow it: "
	}
	return Verdict{Why: why + strings.Join(names, ", "), Next: opening(windows, manual, now)}
}

// String names a window.
func (w Window) String() string {
	zone := w.TimeZone
	if zone == "" {
		zone = "UTC"
	}
	return fmt.Sprintf("%s %q for %s (%s)", w.Kind, w.Schedule, w.Duration, zone)
}

// closing gives the windows that keep an app from being acted on at a time.
func closing(windows []Window, manual bool, now time.Time) []Window {
	var denying, shut []Window
	allowed := false
	for _, w := range windows {
		switch _, active := w.activeUntil(now); {
		case w.Kind == Deny && active:
			denying = append(denying, w)
		case w.Kind == Allow && active:
			allowed = true
		case w.Kind == Allow:
			shut = append(shut, w)
		}
	}
	switch {
	case len(denying) > 0:
		return overridden(denying, manual)
	case allowed:
		return nil
	}
	return overridden(shut, manual)
}

// overridden gives windows, or none of them when a person asks and all of them
// let people.
func overridden(windows []Window, manual bool) []Window {
	if manual && !slices.ContainsFunc(windows, func(w Window) bool { return !w.ManualSync }) {
		return nil
	}
	return windows
}

// steps bounds how far ahead the next opening is looked for.
const steps = 300

// opening gives the next time at which nothing closes.
func opening(windows []Window, manual bool, now time.Time) time.Time {
	for range steps {
		var next time.Time
		for _, w := range windows {
			for _, at := range w.turns(now) {
				if next.IsZero() || at.Before(next) {
					next = at
				}
			}
		}
		if next.IsZero() || len(closing(windows, manual, next)) == 0 {
			return next
		}
		now = next
	}
	return time.Time{}
}

// turns gives when the window next may change, after a time.
func (w Window) turns(now time.Time) []time.Time {
	var at []time.Time
	if start, ok := w.next(now); ok {
		at = append(at, start)
	}
	if end, active := w.activeUntil(now); active {
		at = append(at, end)
	}
	return at
}

func (w Window) covers(app string) bool {
	return len(w.Apps) == 0 || slices.ContainsFunc(w.Apps, func(pattern string) bool {
		matches, _ := path.Match(pattern, app)
		return matches
	})
}

// activeUntil says whether the window is open at a time, and until when the
// newest of its starts keeps it so.
func (w Window) activeUntil(now time.Time) (time.Time, bool) {
	start, ok := w.newest(now)
	end := start.Add(w.Duration)
	return end, ok && now.Before(end)
}
