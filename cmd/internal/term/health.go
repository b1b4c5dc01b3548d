package term

import (
	"fmt"

	"tidemark.dev/tidemark/state"
)

// tellLog is how many lines of a log are shown here; the record holds more.
const tellLog = 10

// health shows what is not healthy, and what was seen of it.
func (p *page) health(app state.AppRecord) {
	if app.Health == nil || app.Health.Verdict == state.Healthy {
		return
	}
	p.line("  %s", p.Paint.as(yellow, Escape(fmt.Sprintf("health: %s, %d of %d objects, waited for since %s", app.Health.Verdict, app.Health.Current, app.Health.Total, when(app.Health.Since)))))
	for _, o := range app.Health.Objects {
		p.line("    %s %s: %s", Escape(o.State), Escape(o.ID.String()), Escape(o.Message))
		if o.Evidence != nil {
			p.evidence(*o.Evidence)
		}
	}
}

func (p *page) evidence(e state.Evidence) {
	for _, c := range e.Conditions {
		p.line("      condition %s", Escape(fmt.Sprintf("%s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message)))
	}
	for _, event := range e.Events {
		p.line("      event %s", Escape(fmt.Sprintf("%s of %s: %s", event.Reason, event.Object, event.Message)))
	}
	for _, log := range e.Logs {
		before := ""
		if log.Previous {
			before = ", the one before"
		}
		p.line("      log of %s", Escape(log.Pod+"/"+log.Container+before))
		for _, line := range log.Lines[max(0, len(log.Lines)-tellLog):] {
			p.line("        %s", p.Paint.as(dim, Escape(line)))
		}
	}
	for _, missing := range e.Missing {
		p.line("      not seen: %s", Escape(missing))
	}
}
