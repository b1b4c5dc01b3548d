package reconcile

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// lookers gives the rights that a run which waits for an app needs beside those to
// watch the app's own objects: to see further objects, and to tell why something
// is not healthy. The events of objects of the whole cluster are left out.
func (a *app) lookers(kinds plan.Kinds) (seeing, telling []apply.Permission) {
	if !a.Wait.On() {
		return nil, nil
	}
	pod := object.GroupKind{Kind: "Pod"}
	for _, id := range a.awaited(kinds) {
		if _, own := a.want.Get(id); !own {
			for _, verb := range []string{"list", "watch"} {
				seeing = append(seeing, apply.Permission{Verb: verb, Kind: id.GroupKind(), Namespace: id.Namespace, Name: id.Name})
			}
		}
		if id.Namespace == "" {
			continue
		}
		telling = append(telling, apply.Permission{Verb: "list", Kind: object.GroupKind{Kind: "Event"}, Namespace: id.Namespace})
		if id.Group == "apps" || id.Group == "batch" || id.GroupKind() == pod {
			telling = append(telling,
				apply.Permission{Verb: "list", Kind: pod, Namespace: id.Namespace},
				apply.Permission{Verb: "get", Kind: pod, Subresource: "log", Namespace: id.Namespace})
		}
	}
	return seeing, telling
}

// health asks for these rights. A run works without them, and shows less.
func (d *doctor) health(ctx context.Context, apps []*app) {
	defer d.stage("permissions")()
	seeing, telling := map[apply.Permission]bool{}, map[apply.Permission]bool{}
	for _, a := range apps {
		see, tell := a.lookers(d.ledger.kinds)
		for _, p := range see {
			if _, served := d.ledger.kinds.Served[p.Kind]; served {
				seeing[p] = true
			}
		}
		for _, p := range tell {
			telling[p] = true
		}
	}
	if !d.reached {
		return
	}
	d.needs(ctx, "health checks", seeing, "nobody sees whether these objects are healthy, and the apps that wait for them stay partial")
	d.needs(ctx, "evidence", telling, "the record of an app that is not healthy lacks the reasons: events, and the last lines of its containers")
}

// needs asks for permissions of which a lack costs something, but harms nothing.
func (d *doctor) needs(ctx context.Context, what string, needed map[apply.Permission]bool, loss string) {
	if len(needed) == 0 {
		return
	}
	denied, err := d.review(ctx, slices.Collect(maps.Keys(needed)))
	switch {
	case err != nil:
		d.fail("permissions", what, err)
	case len(denied) > 0:
		d.worry("permissions", what, fmt.Errorf("%w: %s: without it, %s", ErrDenied, denialsOfKinds(denied), loss))
	default:
		d.note("permissions", what, Fine, "everything that waiting needs")
	}
}

// blindness says what is lost when nothing but watching is denied.
func blindness(denied []apply.Permission) string {
	if slices.ContainsFunc(denied, func(p apply.Permission) bool { return p.Verb != "watch" }) {
		return ""
	}
	return ": without it nobody sees whether these objects are healthy, and the apps that wait for them stay partial"
}

// denialsOfKinds names missing permissions of several kinds: "Deployment.apps
// (list, watch in shop), Event (list in shop, web)".
func denialsOfKinds(denied []apply.Permission) string {
	of := map[string][]apply.Permission{}
	for _, p := range denied {
		what := p.Kind.String()
		if p.Subresource != "" {
			what += "/" + p.Subresource
		}
		if p.Name != "" {
			what += " " + p.Name
		}
		of[what] = append(of[what], p)
	}
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, what+" ("+denials(of[what])+")")
	}
	return strings.Join(parts, ", ")
}
