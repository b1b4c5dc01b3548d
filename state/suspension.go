package state

import "time"

// Suspension keeps runs from acting on an app, or on every app of the ledger:
// they go on to look and to plan.
type Suspension struct {
	Reason string    `json:"reason"`
	Actor  string    `json:"actor"`
	Since  time.Time `json:"since"`
	// Until is when it ends by itself; zero is never.
	Until time.Time `json:"until,omitzero"`
}

// Holds says whether there is a suspension and it has not ended at a time.
func (s *Suspension) Holds(now time.Time) bool {
	return s != nil && (s.Until.IsZero() || now.Before(s.Until))
}

// Ended takes the suspensions that have ended at a time out of the head.
func (h *Head) Ended(now time.Time) {
	if !h.Freeze.Holds(now) {
		h.Freeze = nil
	}
	for name, app := range h.Apps {
		if app.Suspend != nil && !app.Suspend.Holds(now) {
			app.Suspend = nil
			h.Apps[name] = app
		}
	}
}
