package config

import (
	"fmt"
	"strings"

	"tidemark.dev/tidemark/reconcile/plan"
)

// dependencies looks for apps that are no others', and for circles. An app that
// left the file may still be in the ledger, which only a run can tell.
func (c check) dependencies() {
	depends, first := map[string][]string{}, map[string]string{}
	for i, a := range c.config.Apps {
		for n, d := range a.DependsOn {
			field := fmt.Sprintf("apps[%d].dependsOn[%d]", i, n)
			if d.App != "" && !isLabel(d.App) {
				c.add(field, "%q is not the name of an app: it %s", d.App, labelRule)
			}
			if first[a.Name] == "" {
				first[a.Name] = field
			}
			depends[a.Name] = append(depends[a.Name], d.App)
		}
	}
	if circle := plan.Cycle(c.config.Names(), func(name string) []string { return depends[name] }); circle != nil {
		c.add(first[circle[0]], "apps depend on each other in a circle: %s", strings.Join(circle, " → "))
	}
}
