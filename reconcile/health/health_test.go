package health_test

import (
	"strings"
	"testing"

	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"tidemark.dev/tidemark/reconcile/health"
	"tidemark.dev/tidemark/render/object"
)

func decode(t *testing.T, text string) map[string]any {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var content map[string]any
	if err := utiljson.Unmarshal(data, &content); err != nil {
		t.Fatal(err)
	}
	return content
}

func TestJudge(t *testing.T) {
	for _, test := range []struct {
		name, object string
		want         health.State
		says         string
	}{
		{"a new Deployment", `{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, generation: 1}, spec: {replicas: 1}}`, health.InProgress, ""},
		{"a Deployment that rolls out", `{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, generation: 2}, spec: {replicas: 2},
			status: {observedGeneration: 2, replicas: 2, updatedReplicas: 2, readyReplicas: 1, availableReplicas: 1, conditions: [{type: Progressing, status: "True", reason: ReplicaSetUpdated}]}}`, health.InProgress, "1/2"},
		{"a Deployment that is there", `{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, generation: 2}, spec: {replicas: 2},
			status: {observedGeneration: 2, replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2, conditions: [{type: Progressing, status: "True", reason: NewReplicaSetAvailable}, {type: Available, status: "True"}]}}`, health.Current, ""},
		{"a Deployment whose controller is behind", `{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, generation: 3}, spec: {replicas: 1},
			status: {observedGeneration: 2, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1, conditions: [{type: Available, status: "True"}]}}`, health.InProgress, "generation"},
		{"a Deployment that ran out of time", `{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, generation: 1}, spec: {replicas: 1},
			status: {observedGeneration: 1, conditions: [{type: Progressing, status: "False", reason: ProgressDeadlineExceeded}]}}`, health.Failed, ""},
		{"a Job that runs", `{apiVersion: batch/v1, kind: Job, metadata: {name: a}, status: {active: 1, startTime: "2026-01-01T00:00:00Z"}}`, health.InProgress, "1 active"},
		{"a Job that is done", `{apiVersion: batch/v1, kind: Job, metadata: {name: a}, status: {conditions: [{type: Complete, status: "True"}]}}`, health.Current, "completed"},
		{"a Job that failed", `{apiVersion: batch/v1, kind: Job, metadata: {name: a}, status: {conditions: [{type: Failed, status: "True", reason: BackoffLimitExceeded, message: too often}]}}`, health.Failed, "BackoffLimitExceeded: too often"},
		{"a suspended Job", `{apiVersion: batch/v1, kind: Job, metadata: {name: a}, spec: {suspend: true}}`, health.Current, "suspended"},
		{"a thing without a status", `{apiVersion: example.com/v1, kind: Thing, metadata: {name: a}}`, health.Current, ""},
		{"a thing that is not ready", `{apiVersion: example.com/v1, kind: Thing, metadata: {name: a}, status: {conditions: [{type: Ready, status: "False", message: no disk}]}}`, health.InProgress, "no disk"},
		{"a thing that is stalled", `{apiVersion: example.com/v1, kind: Thing, metadata: {name: a}, status: {conditions: [{type: Stalled, status: "True", message: no disk}]}}`, health.Failed, "no disk"},
		{"one that goes away", `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, deletionTimestamp: "2026-01-01T00:00:00Z"}}`, health.Terminating, ""},
		{"one whose status makes no sense", `{apiVersion: example.com/v1, kind: Thing, metadata: {name: a, generation: 1}, status: {observedGeneration: soon}}`, health.Unknown, "observedGeneration"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := health.Judge(decode(t, test.object), health.Checks{})
			if got.State != test.want || !strings.Contains(got.Message, test.says) {
				t.Errorf("got %s: %s\nwant %s with %q\nof %s", got.State, got.Message, test.want, test.says, test.object)
			}
			if got.ID.Name != "a" {
				t.Errorf("got the ID %s, want the object's", got.ID)
			}
		})
	}
	if got := health.Judge(nil, health.Checks{}); got.State != health.NotFound {
		t.Errorf("of nothing: got %s, want %s", got.State, health.NotFound)
	}
}

func TestJudgeByExpressions(t *testing.T) {
	checks, err := health.Compile([]health.Expression{{
		APIVersion: "example.com/v1", Kind: "Thing",
		InProgress: `status.phase == "Working"`,
		Failed:     `status.phase == "Broken"`,
		Current:    `status.conditions.filter(c, c.type == "Synced").all(c, c.status == "True") && status.count >= spec.count`,
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, rest string
		want       health.State
	}{
		{"in progress", `status: {phase: Working}`, health.InProgress},
		{"failed", `status: {phase: Broken}`, health.Failed},
		{"current", `spec: {count: 2}, status: {phase: Done, count: 2, conditions: [{type: Synced, status: "True"}]}`, health.Current},
		{"none of them", `spec: {count: 2}, status: {phase: Done, count: 1, conditions: [{type: Synced, status: "True"}]}`, health.InProgress},
		{"a field is missing", `status: {}`, health.Unknown},
		{"no status", `spec: {}`, health.Unknown},
		{"an old generation", `status: {observedGeneration: 1, phase: Broken}`, health.InProgress},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := `{apiVersion: example.com/v1beta1, kind: Thing, metadata: {name: a, generation: 2}, ` + test.rest + `}`
			if got := health.Judge(decode(t, text), checks); got.State != test.want {
				t.Errorf("got %s: %s\nwant %s\nof %s", got.State, got.Message, test.want, text)
			}
		})
	}
	other := decode(t, `{apiVersion: other.com/v1, kind: Thing, metadata: {name: a}}`)
	if got := health.Judge(other, checks); got.State != health.Current {
		t.Errorf("a kind of another group: got %s, want %s", got.State, health.Current)
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, test := range []struct {
		name string
		in   health.Expression
		says string
	}{
		{"what is not CEL", health.Expression{Current: `status.phase ==`}, "healthCheckExprs[0].current: it is not CEL"},
		{"no current", health.Expression{Failed: `true`}, "healthCheckExprs[0].current: is required"},
		{"a function that does not exist", health.Expression{Current: `true`, Failed: `status.conditions.filtr(c)`}, "healthCheckExprs[0].failed: there is no function filtr"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.in.APIVersion, test.in.Kind = "v1", "Thing"
			_, err := health.Compile([]health.Expression{test.in})
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %q", err, test.says)
			}
		})
	}
	twice := health.Expression{APIVersion: "a.b/v1", Kind: "Thing", Current: "true"}
	if _, err := health.Compile([]health.Expression{twice, twice}); err == nil || !strings.Contains(err.Error(), "[1].kind") {
		t.Errorf("the same kind twice: got %v, want an error of healthCheckExprs[1].kind", err)
	}
}

// An expression from a repository must not keep a run busy.
func TestExpressionsAreBounded(t *testing.T) {
	numbers := "[" + strings.Repeat("1,", 999) + "1]"
	endless := numbers + ".all(a, " + numbers + ".all(b, " + numbers + ".all(c, a == b || b == c || a != c)))"
	checks, err := health.Compile([]health.Expression{{APIVersion: "v1", Kind: "Thing", Current: endless}})
	if err != nil {
		t.Fatal(err)
	}
	got := health.Judge(decode(t, `{apiVersion: v1, kind: Thing, metadata: {name: a}}`), checks)
	if got.State != health.Unknown || !strings.Contains(got.Message, "cost limit") {
		t.Errorf("got %s: %s, want it to be given up for its cost", got.State, got.Message)
	}
}

func TestImmediate(t *testing.T) {
	checked, err := health.Compile([]health.Expression{{APIVersion: "v1", Kind: "ConfigMap", Current: `data.ready == "yes"`}})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		kind   object.GroupKind
		checks health.Checks
		want   bool
	}{
		{object.GroupKind{Kind: "ConfigMap"}, health.Checks{}, true},
		{object.GroupKind{Kind: "Secret"}, health.Checks{}, true},
		{object.GroupKind{Group: "rbac.authorization.k8s.io", Kind: "Role"}, health.Checks{}, true},
		{object.GroupKind{Kind: "ConfigMap"}, checked, false},
		{object.GroupKind{Group: "apps", Kind: "Deployment"}, health.Checks{}, false},
		{object.GroupKind{Group: "example.com", Kind: "Secret"}, health.Checks{}, false},
	} {
		if got := test.checks.Immediate(test.kind); got != test.want {
			t.Errorf("%s: got %t, want %t", test.kind, got, test.want)
		}
	}
}
