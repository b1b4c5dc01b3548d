package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/state"
)

// Dependency is an app that another one waits for.
type Dependency struct {
	// App is any app of the ledger.
	App string
	// Healthy: it must be healthy, and not only applied.
	Healthy bool
}

// checkDependencies refuses dependencies on apps that the ledger does not know,
// and those that lead back to where they began.
func checkDependencies(config Config, head state.Head) error {
	depends := map[string][]string{}
	var names []string
	for _, a := range config.Apps {
		names = append(names, a.Name)
		depends[a.Name] = nil
	}
	for _, a := range config.Apps {
		for _, d := range a.DependsOn {
			_, configured := depends[d.App]
			if on := slices.IndexFunc(config.Apps, func(other App) bool { return other.Name == d.App }); d.Healthy && on >= 0 && !config.Apps[on].Wait.On() {
				return fmt.Errorf("app %s waits until %s is healthy, which nobody looks at: set wait: true for %s", a.Name, d.App, d.App)
			}
			if _, known := head.Apps[d.App]; !known && !configured {
				return fmt.Errorf("app %s depends on %s, which is no app of this ledger", a.Name, d.App)
			}
			depends[a.Name] = append(depends[a.Name], d.App)
		}
	}
	if circle := plan.Cycle(names, func(name string) []string { return depends[name] }); circle != nil {
		return fmt.Errorf("apps depend on each other in a circle: %s", strings.Join(circle, " → "))
	}
	return nil
}

// befores gives the apps that each app comes after: those it depends on, and those
// that hold what its objects depend on.
func befores(apps []*app, wishes *wishes) map[string][]string {
	all := map[string][]string{}
	for _, a := range apps {
		for _, d := range a.DependsOn {
			all[a.Name] = append(all[a.Name], d.App)
		}
		for _, id := range plan.Dependencies(a.want) {
			for _, other := range wishes.wanters[id] {
				if _, own := a.want.Get(id); !own && !slices.Contains(all[a.Name], other.Name) {
					all[a.Name] = append(all[a.Name], other.Name)
				}
			}
		}
	}
	return all
}

// depend holds back apps whose dependencies cannot be ready in this run, and fails
// those that wait for each other.
func (r *runner) depend(l *ledger, apps []*app, wishes *wishes) {
	l.before = befores(apps, wishes)
	for _, a := range apps {
		circle := plan.Cycle([]string{a.Name}, func(name string) []string { return l.before[name] })
		if slices.Contains(circle, a.Name) && a.err == nil {
			a.err = fmt.Errorf("%w: apps wait for each other, by what their objects depend on: %s", plan.ErrOrder, strings.Join(circle, " → "))
		}
	}
	// What is held back holds back what depends on it.
	for held := true; held; {
		held = false
		for _, a := range apps {
			if !a.acts() {
				continue
			}
			if why := l.unready(a, apps, (*app).acts); why != "" {
				a.plan.Waits, held = why, true
			}
		}
	}
}

// unready says which dependency of an app is not ready, and why; empty when all
// are. Apps of the run that open tells of are yet to be judged.
func (l *ledger) unready(a *app, apps []*app, open func(*app) bool) string {
	for _, d := range a.DependsOn {
		at := slices.IndexFunc(apps, func(other *app) bool { return other.Name == d.App })
		why := ""
		switch {
		case at < 0:
			why = priorTrouble(l.head.Apps[d.App], d.Healthy)
		case !open(apps[at]):
			why = apps[at].trouble(d.Healthy)
		}
		if why != "" {
			return fmt.Sprintf("the dependency %s is not ready: %s", d.App, why)
		}
	}
	return ""
}

// priorTrouble says why an app that takes no part in this run is not ready.
func priorTrouble(prior state.App, healthy bool) string {
	switch {
	case prior.Inputs == "":
		return "it is not fully applied"
	case healthy:
		return unhealthy(prior.Health)
	}
	return ""
}

// trouble says why an app of this run is not ready.
func (a *app) trouble(healthy bool) string {
	switch {
	case a.err != nil:
		return "it failed"
	case len(a.plan.Refusals) > 0, len(a.plan.Invalid) > 0:
		return "it is refused"
	case a.waits():
		return "it waits"
	case !a.stands():
		return "it is not fully applied"
	case healthy && a.found != nil && a.found.Verdict != state.Healthy:
		return a.found.message
	case healthy && a.found == nil && !a.untouched:
		return unhealthy(a.prior.Health)
	}
	return ""
}

// unhealthy tells what the head says of an app's health, unless it is well, or
// was never asked for.
func unhealthy(health state.Health) string {
	if health == "" || health == state.Healthy {
		return ""
	}
	return "it is " + string(health)
}

// stands says whether everything that the app wants stands in the cluster,
// healthy or not.
func (a *app) stands() bool {
	if a.untouched {
		return true
	}
	if a.acts() && a.results == nil {
		return false
	}
	for _, o := range a.outcomes() {
		if !o.Verdict.Done() {
			return false
		}
	}
	return a.planned
}

// turns lets apps come after others of the same run.
type turns struct {
	before map[string][]string
	ended  map[string]chan struct{}
}

func newTurns(l *ledger, acting []*app) turns {
	t := turns{before: l.before, ended: map[string]chan struct{}{}}
	for _, a := range acting {
		t.ended[a.Name] = make(chan struct{})
	}
	return t
}

// free says whether an app need not wait for any that acts.
func (t turns) free(a *app) bool {
	return !slices.ContainsFunc(t.before[a.Name], func(name string) bool { return t.ended[name] != nil })
}

// await waits for the apps that come before one, or for the end of ctx.
func (t turns) await(ctx context.Context, a *app) {
	for _, name := range t.before[a.Name] {
		if ended := t.ended[name]; ended != nil {
			select {
			case <-ended:
			case <-ctx.Done():
				return
			}
		}
	}
}

// end says that an app is done, however it went.
func (t turns) end(a *app) { close(t.ended[a.Name]) }
