package config

import (
	"fmt"
	"strings"
	"time"

	"tidemark.dev/tidemark/reconcile/health"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

const defaultWait = 5 * time.Minute

// Health says what a run waits for after it applied an app, in the words of Flux.
type Health struct {
	// Wait until every object of the app is healthy; only then are objects pruned
	// that left it. Default false.
	Wait *bool `json:"wait,omitempty"`
	// Timeout of the wait, from the first apply until everything is healthy, however
	// many runs that takes. Default 5m.
	Timeout state.Duration `json:"timeout,omitempty"`
	// HealthChecks are further objects to wait for, which need not be the app's.
	HealthChecks []HealthCheck `json:"healthChecks,omitempty"`
	// HealthCheckExprs say in CEL when objects of a kind are healthy.
	HealthCheckExprs []HealthCheckExpr `json:"healthCheckExprs,omitempty"`
}

// HealthCheck names one object.
type HealthCheck struct {
	// APIVersion of the object, such as apps/v1.
	APIVersion string `json:"apiVersion" required:"true"`
	// Kind of the object.
	Kind string `json:"kind" required:"true"`
	// Name of the object.
	Name string `json:"name" required:"true"`
	// Namespace of the object. Default: the app's.
	Namespace string `json:"namespace,omitempty"`
}

// HealthCheckExpr says for one kind when its objects are healthy. The fields of
// an object are the variables. The first that is true decides, in the order
// inProgress, failed, current; else the object is in progress.
type HealthCheckExpr struct {
	// APIVersion of the objects, such as cert-manager.io/v1.
	APIVersion string `json:"apiVersion" required:"true"`
	// Kind of the objects.
	Kind string `json:"kind" required:"true"`
	// InProgress is true while a controller is at work.
	InProgress string `json:"inProgress,omitempty"`
	// Failed is true when waiting will not help.
	Failed string `json:"failed,omitempty"`
	// Current is true when the object is healthy.
	Current string `json:"current" required:"true"`
}

// Checks compiles the expressions.
func (w Health) Checks() (health.Checks, error) {
	expressions := make([]health.Expression, len(w.HealthCheckExprs))
	for i, e := range w.HealthCheckExprs {
		expressions[i] = health.Expression(e)
	}
	return health.Compile(expressions)
}

// IDs gives the objects of the health checks.
func (w Health) IDs() []object.ID {
	var ids []object.ID
	for _, h := range w.HealthChecks {
		kind := health.Expression{APIVersion: h.APIVersion, Kind: h.Kind}.GroupKind()
		ids = append(ids, object.ID{Group: kind.Group, Kind: kind.Kind, Namespace: h.Namespace, Name: h.Name})
	}
	return ids
}

func (w Health) withDefaults(d Health) Health {
	w.Wait = or(w.Wait, d.Wait, new(false))
	w.Timeout = or(w.Timeout, d.Timeout, state.Duration(defaultWait))
	if w.HealthCheckExprs == nil {
		w.HealthCheckExprs = d.HealthCheckExprs
	}
	if w.HealthChecks == nil {
		w.HealthChecks = d.HealthChecks
	}
	return w
}

// wait finds what is wrong with a Health. Problems of expressions come in a list.
func (c check) wait(field string, w Health) {
	if w.Timeout < 0 {
		c.add(field+".timeout", "is negative")
	}
	for i, h := range w.HealthChecks {
		c.namespace(fmt.Sprintf("%s.healthChecks[%d].namespace", field, i), h.Namespace)
	}
	_, err := w.Checks()
	if err == nil {
		return
	}
	for line := range strings.Lines(err.Error()) {
		at, problem, _ := strings.Cut(strings.TrimSpace(line), ": ")
		c.add(field+"."+at, "%s", problem)
	}
}
