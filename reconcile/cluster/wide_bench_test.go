package cluster_test

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/cluster"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

const wide = 32

// BenchmarkApply applies 1,000 mixed objects that do not exist, each time beside
// a bare loop of client-go's over others of the same kind, and reports the ratio:
// only within one run do times mean anything.
func BenchmarkApply(b *testing.B) {
	c := open(b, nil)
	if _, err := c.Discover(b.Context(), false); err != nil {
		b.Fatal(err)
	}
	bare := bareClient(b)
	ways := map[string]func(*testing.B, object.Set){
		"floor": func(b *testing.B, set object.Set) { b.Helper(); applyBare(b, bare, set) },
		"do":    func(b *testing.B, set object.Set) { b.Helper(); applyAll(b, c, set) },
		// What the phases cost is the difference to this.
		"unordered": func(b *testing.B, set object.Set) {
			b.Helper()
			each(b, set, func(ctx context.Context, o object.Object) error {
				_, err := c.Apply(ctx, o, apply.Target{}, false)
				return err
			})
		},
	}
	compared(b, ways, "floor")
}

// BenchmarkDryRun is the same for dry runs of what does not exist.
func BenchmarkDryRun(b *testing.B) {
	c := open(b, nil)
	if _, err := c.Discover(b.Context(), false); err != nil {
		b.Fatal(err)
	}
	bare := bareClient(b)
	compared(b, map[string]func(*testing.B, object.Set){
		"floor": func(b *testing.B, set object.Set) { b.Helper(); applyBare(b, bare, set, "dryRun=All") },
		"do": func(b *testing.B, set object.Set) {
			b.Helper()
			each(b, set, func(ctx context.Context, o object.Object) error {
				answer, err := c.DryRun(ctx, o, apply.Target{}, false)
				if err == nil && answer.Rejected+answer.NotValidated != "" {
					err = fmt.Errorf("%s: %+v", o.ID, answer)
				}
				return err
			})
		},
	}, "floor")
}

// cost is what one way of doing something took.
type cost struct{ wall, client, server float64 }

// compared does the same in several ways, one after the other and in turns, each
// with 1,000 objects of its own, and reports the best of each, which the machine's
// other work spoils least, and its ratio to that of the floor.
func compared(b *testing.B, ways map[string]func(*testing.B, object.Set), floor string) {
	b.Helper()
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range ways {
			if !yield(name) {
				return
			}
		}
	})
	for _, name := range names {
		ways[name](b, mixed(b, fmt.Sprintf("%d-first", time.Now().UnixNano()%1e9))) // the server warms up
	}
	costs := map[string][]cost{}
	for round := 0; b.Loop(); round++ {
		b.StopTimer()
		for i := range names {
			name := names[(round+i)%len(names)]
			set := mixed(b, fmt.Sprintf("%d-%d", time.Now().UnixNano()%1e9, i))
			server, client, began := serverCPU(b), ownCPU(b), time.Now()
			ways[name](b, set)
			wall, client := time.Since(began).Seconds(), ownCPU(b)-client
			costs[name] = append(costs[name], cost{wall, client, serverCPU(b) - server})
		}
		b.StartTimer()
	}
	best := func(name string, of func(cost) float64) float64 {
		least := math.Inf(1)
		for _, c := range costs[name] {
			least = min(least, of(c))
		}
		return least
	}
	for _, name := range names {
		wall := best(name, func(c cost) float64 { return c.wall })
		b.ReportMetric(wall*1e3, name+"-ms")
		b.ReportMetric(best(name, func(c cost) float64 { return c.client })*1e3, name+"-client-ms")
		b.ReportMetric(best(name, func(c cost) float64 { return c.server })*1e3, name+"-server-ms")
		if name != floor {
			b.ReportMetric(wall/best(floor, func(c cost) float64 { return c.wall }), name+"-ratio")
		}
	}
	b.ReportMetric(0, "ns/op")
}

func applyAll(b *testing.B, c *cluster.Cluster, set object.Set) {
	b.Helper()
	work := apply.Work{Plan: plan.Plan{App: "bench"}, Want: set, Force: true, Ledger: "bench"}
	for _, o := range set.Objects() {
		work.Plan.Changes = append(work.Plan.Changes, plan.Change{ID: o.ID, Version: o.Version, Action: plan.Create})
	}
	slices.SortStableFunc(work.Plan.Changes, func(x, y plan.Change) int {
		return cmp.Compare(plan.Phase(x.ID.GroupKind()), plan.Phase(y.ID.GroupKind()))
	})
	result := apply.Do(b.Context(), c, work, apply.Options{
		Sending: func(ctx context.Context) (context.Context, context.CancelFunc, error) { return ctx, func() {}, nil },
		Sleep:   func(context.Context, time.Duration) error { return nil },
		Applied: &apply.Applied{},
	})
	for _, o := range result.Outcomes {
		if o.Verdict != apply.Created {
			b.Fatalf("%s: %s %s", o.Change.ID, o.Verdict, o.Message)
		}
	}
}

func each(b *testing.B, set object.Set, do func(context.Context, object.Object) error) {
	b.Helper()
	group, ctx := errgroup.WithContext(b.Context())
	group.SetLimit(wide)
	for _, o := range set.Objects() {
		group.Go(func() error { return do(ctx, o) })
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}

func bareClient(b *testing.B) rest.Interface {
	b.Helper()
	config := bareConfig(b)
	config.GroupVersion = &schema.GroupVersion{Version: "v1"}
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	client, err := rest.RESTClientFor(config)
	if err != nil {
		b.Fatal(err)
	}
	return client
}

// applyBare is the floor: bodies encoded beforehand, 32 requests at once, as
// client-go sends them.
func applyBare(b *testing.B, client rest.Interface, set object.Set, params ...string) {
	b.Helper()
	plurals := map[string]string{
		"Deployment": "deployments", "Service": "services", "ConfigMap": "configmaps", "Secret": "secrets",
		"ServiceAccount": "serviceaccounts", "Role": "roles", "RoleBinding": "rolebindings",
	}
	each(b, set, func(ctx context.Context, o object.Object) error {
		body, err := o.JSON()
		if err != nil {
			return err
		}
		root := "/api/v1"
		if o.ID.Group != "" {
			root = "/apis/" + o.ID.Group + "/" + o.Version
		}
		request := client.Patch(types.ApplyPatchType).AbsPath(root, "namespaces", o.ID.Namespace, plurals[o.ID.Kind], o.ID.Name).
			Param("fieldManager", "floor").Param("force", "true").Body(body)
		if len(params) > 0 {
			request = request.Param("dryRun", metav1.DryRunAll)
		}
		_, err = request.Do(ctx).Raw()
		return err
	})
}

// mixed makes 1,000 objects in ten new namespaces, which it creates.
func mixed(b *testing.B, run string) object.Set {
	b.Helper()
	var objects []object.Object
	for i := range 10 {
		ns := fmt.Sprintf("mixed-%s-%d", run, i)
		if _, err := controlPlane(b).Create(b.Context(), "/api/v1/namespaces", fmt.Appendf(nil, `{"metadata":{"name":%q}}`, ns)); err != nil {
			b.Fatal(err)
		}
		add := func(n int, kind string, one func(name string) object.Object) {
			for j := range n {
				o := one(fmt.Sprintf("%s-%d", kind, j))
				objects = append(objects, o.WithMetadata(map[string]string{object.LabelLedger: "bench", object.LabelApp: "bench"}, map[string]string{object.AnnotationID: o.ID.Mark()}))
			}
		}
		yaml := func(format string) func(string) object.Object {
			return func(name string) object.Object { return manifest(b, fmt.Sprintf(format, name, ns)) }
		}
		add(20, "web", func(name string) object.Object { return deployment(b, ns, name) })
		add(20, "svc", yaml(`{apiVersion: v1, kind: Service, metadata: {name: %[1]s, namespace: %[2]s}, spec: {selector: {app: %[1]s}, ports: [{name: http, port: 80, targetPort: 8080}]}}`))
		add(30, "config", yaml(`{apiVersion: v1, kind: ConfigMap, metadata: {name: %[1]s, namespace: %[2]s}, data: {url: "https://example.com/%[1]s", level: info}}`))
		add(10, "secret", yaml(`{apiVersion: v1, kind: Secret, metadata: {name: %[1]s, namespace: %[2]s}, type: Opaque, data: {password: aHVudGVyMg==}}`))
		add(10, "account", yaml(`{apiVersion: v1, kind: ServiceAccount, metadata: {name: %[1]s, namespace: %[2]s}}`))
		add(5, "role", yaml(`{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: %[1]s, namespace: %[2]s}, rules: [{apiGroups: [""], resources: [configmaps], verbs: [get, list, watch]}]}`))
		add(5, "binding", yaml(`{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: %[1]s, namespace: %[2]s}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: role-0}, subjects: [{kind: ServiceAccount, name: account-0, namespace: %[2]s}]}`))
	}
	set, err := object.NewSet(objects, false)
	if err != nil {
		b.Fatal(err)
	}
	return set
}
