package term

import (
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/state"
)

// Drift shows what others did to the objects of the apps, field by field, and who
// it was.
func Drift(record state.Record, plans []plan.Plan, style Style) string {
	p := &page{Style: style}
	for _, app := range record.Apps {
		if app.Verdict == state.Failed || app.Verdict == state.Interrupted {
			p.title(app, verdictColor(app.Verdict))
			p.appTrouble(app)
		}
	}
	drifted := 0
	for _, one := range plans {
		named := false
		for _, c := range one.Changes {
			if !c.Drifts() {
				continue
			}
			if !named {
				p.line("%s", p.Paint.as(bold, Escape(one.App)))
				named = true
			}
			drifted++
			p.change(c)
		}
	}
	for _, app := range record.Apps {
		for _, c := range app.Contested {
			p.warnings("", []string{c.Text()})
		}
	}
	p.warnings("", record.Warnings)
	p.line("%s", p.Paint.as(bold, "Drift: "+plural(drifted, "object")))
	return p.String()
}
