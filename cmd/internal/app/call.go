package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"tidemark.dev/tidemark/cmd/internal/term"
	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/state"
)

// Order is what a caller may ask of a function.
type Order struct {
	// Apps are those that are meant; empty means all that the function is for.
	Apps []string `json:"apps,omitempty"`
	// Mode is sync, which it is when it is empty, or plan.
	Mode string `json:"mode,omitempty"`
}

// ReadOrder reads an order. What is no order is an error: a caller who is not
// understood must not get a sync of everything.
func ReadOrder(data []byte) (Order, error) {
	var order Order
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&order); err != nil && !errors.Is(err, io.EOF) {
		return order, &UsageError{Message: `the order is not {"apps": […], "mode": "sync" or "plan"}: ` + err.Error()}
	}
	if decoder.More() {
		return order, &UsageError{Message: "the order is followed by something else"}
	}
	if order.Mode != "" && order.Mode != "sync" && order.Mode != "plan" {
		return order, &UsageError{Message: fmt.Sprintf("the mode is %q, not sync or plan", order.Mode)}
	}
	return order, nil
}

// Answer is what a function says of a run.
type Answer struct {
	// Record is that of the run; of one that could not begin too.
	Record state.Record `json:"record"`
	// Plans are those of an order to plan.
	Plans []plan.Plan `json:"plans,omitempty"`
}

// ExitUsage is the exit code of what was called wrongly.
const ExitUsage = 1

// Call does one run as a caller ordered, within what the settings allow, and logs
// it to Stderr as JSON. What went wrong is in the answer's record.
func (e Env) Call(ctx context.Context, settings Settings, order Order) Answer {
	settings, err := settings.narrow(order.Apps)
	if err != nil {
		return e.uncalled(&term.Redactor{}, err)
	}
	session, err := Open(e, settings)
	if err != nil {
		return e.uncalled(&term.Redactor{}, err)
	}
	defer session.Close()
	log := term.NewLog(session.Redactor.Writer(e.Stderr), session.Run, e.Now)
	mode := reconcile.Sync
	if order.Mode == "plan" {
		mode = reconcile.PlanOnly
	}
	begun := false
	report, err := session.Do(ctx, mode, func() Watcher {
		begun = true
		for _, warning := range session.Warnings() {
			log.Warn(warning)
		}
		return log
	})
	if !begun {
		return e.uncalled(session.Redactor, err)
	}
	if data, err := json.Marshal(report.Record); err == nil && mode == reconcile.Sync && !report.Recorded && report.Record.Verdict != state.Skipped {
		log.Unrecorded(data)
	}
	answer := Answer{Record: report.Record}
	if mode == reconcile.PlanOnly {
		answer.Plans = report.Plans
	}
	return answer
}

// uncalled answers a call that no run came of, and logs why.
func (e Env) uncalled(redactor *term.Redactor, err error) Answer {
	var hint string
	record := e.Unbegun("", err)
	if usage, ok := errors.AsType[*UsageError](err); ok {
		record.Exit, hint = ExitUsage, usage.Hint
	}
	record.Message = redactor.Text(record.Message)
	term.NewLog(redactor.Writer(e.Stderr), "", e.Now).Fault(err, hint)
	return Answer{Record: record}
}

// narrow gives the settings for some of their apps.
func (s Settings) narrow(apps []string) (Settings, error) {
	if len(apps) == 0 {
		return s, nil
	}
	for _, name := range apps {
		if len(s.Apps) > 0 && !slices.Contains(s.Apps, name) {
			return s, &UsageError{Message: fmt.Sprintf("the app %q is not one of those that this function is for: %s", name, strings.Join(s.Apps, ", "))}
		}
	}
	s.Apps = apps
	return s, nil
}

// Called gives the environment of a run that somebody else started than the
// variables tell: how, and who.
func (e Env) Called(trigger, actor string) Env {
	lookup := e.Lookup
	e.Lookup = func(name string) (string, bool) {
		switch {
		case name == "TIDEMARK_TRIGGER" && trigger != "":
			return trigger, true
		case name == "TIDEMARK_ACTOR" && actor != "":
			return actor, true
		}
		return lookup(name)
	}
	return e
}
