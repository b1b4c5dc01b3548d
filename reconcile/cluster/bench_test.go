package cluster_test

import (
	"fmt"
	"regexp"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/cluster"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// BenchmarkList lists objects that carry all marks of an app, beside what a bare
// LIST of the same by client-go's metadata client costs.
func BenchmarkList(b *testing.B) {
	for _, n := range []int{2_000, 10_000} {
		c, ns := open(b, nil), namespace(b)
		populate(b, c, ns, n)
		kinds := []object.GroupKind{configMaps, {Group: "apps", Kind: "Deployment"}}
		b.Run(fmt.Sprintf("%d/floor", n), func(b *testing.B) {
			bare, err := metadata.NewForConfig(bareConfig(b))
			if err != nil {
				b.Fatal(err)
			}
			measured(b, func() any {
				found := 0
				for _, r := range []schema.GroupVersionResource{{Version: "v1", Resource: "configmaps"}, {Group: "apps", Version: "v1", Resource: "deployments"}} {
					list, err := bare.Resource(r).List(b.Context(), metav1.ListOptions{LabelSelector: object.LabelLedger + "=" + ns})
					if err != nil {
						b.Fatal(err)
					}
					found += len(list.Items)
				}
				return checked(b, found, n)
			})
		})
		for _, page := range []int{500, 1_000, 5_000, 100_000} {
			b.Run(fmt.Sprintf("%d/pages of %d", n, page), func(b *testing.B) {
				c := open(b, func(o *cluster.Options) { o.PageSize = page })
				measured(b, func() any {
					all := map[object.GroupKind]map[object.ID]plan.Listed{}
					found := 0
					for _, kind := range kinds {
						list, err := c.List(b.Context(), kind, "", object.LabelLedger, ns)
						if err != nil {
							b.Fatal(err)
						}
						all[kind] = list
						found += len(list)
					}
					checked(b, found, n)
					return all
				})
			})
		}
	}
}

func checked(b *testing.B, got, want int) any {
	b.Helper()
	if got != want {
		b.Fatalf("got %d objects, want %d", got, want)
	}
	return nil
}

// measured runs what is to be measured, and reports the CPU time of the API
// server, and the memory that is kept by what it gives.
func measured(b *testing.B, run func() any) {
	b.Helper()
	run() // connections, discovery
	before, own := serverCPU(b), ownCPU(b)
	b.ReportAllocs()
	var kept any
	for b.Loop() {
		kept = run()
	}
	b.ReportMetric((ownCPU(b)-own)*1e3/float64(b.N), "client-ms/op")
	b.ReportMetric((serverCPU(b)-before)*1e3/float64(b.N), "server-ms/op")
	var with, without runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&with)
	runtime.KeepAlive(kept)
	runtime.GC() // by now nothing of it is kept
	runtime.ReadMemStats(&without)
	b.ReportMetric(float64(int64(with.HeapAlloc)-int64(without.HeapAlloc))/(1<<20), "kept-MB")
}

func bareConfig(b *testing.B) *rest.Config {
	b.Helper()
	plane := controlPlane(b)
	return &rest.Config{Host: plane.URL, BearerToken: plane.Token, QPS: -1, TLSClientConfig: rest.TLSClientConfig{CAData: plane.CACert}}
}

// ownCPU is the time that this process has worked since it began.
func ownCPU(b *testing.B) float64 {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

var cpuSeconds = regexp.MustCompile(`(?m)^process_cpu_seconds_total ([0-9.e+]+)$`)

// serverCPU is the time that the API server has worked since it began.
func serverCPU(b *testing.B) float64 {
	b.Helper()
	metrics, err := controlPlane(b).Get(b.Context(), "/metrics")
	if err != nil {
		b.Fatal(err)
	}
	found := cpuSeconds.FindSubmatch(metrics)
	if found == nil {
		b.Fatal("the API server does not tell its CPU time")
	}
	seconds, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return seconds
}

// populate applies n objects, one in five of them a Deployment.
func populate(b *testing.B, c *cluster.Cluster, ns string, n int) {
	b.Helper()
	group, ctx := errgroup.WithContext(b.Context())
	group.SetLimit(32)
	for i := range n {
		o := configMap(b, ns, fmt.Sprintf("config-%d", i), "some value")
		if i%5 == 0 {
			o = deployment(b, ns, fmt.Sprintf("web-%d", i))
		}
		o = o.WithMetadata(map[string]string{object.LabelLedger: ns, object.LabelApp: "bench"}, map[string]string{object.AnnotationID: o.ID.Mark()})
		group.Go(func() error {
			_, err := c.Apply(ctx, o, apply.Target{}, true)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}

func deployment(tb testing.TB, ns, name string) object.Object {
	tb.Helper()
	return manifest(tb, fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s, namespace: %[2]s, labels: {app.kubernetes.io/name: %[1]s, app.kubernetes.io/part-of: shop}}
spec:
  replicas: 2
  selector: {matchLabels: {app.kubernetes.io/name: %[1]s}}
  template:
    metadata: {labels: {app.kubernetes.io/name: %[1]s}}
    spec:
      containers:
      - name: main
        image: registry.example.com/shop/web:1.2.3
        args: [--listen, ":8080"]
        env: [{name: LOG_LEVEL, value: info}, {name: REGION, value: eu}]
        ports: [{name: http, containerPort: 8080}]
        resources: {requests: {cpu: 50m, memory: 64Mi}, limits: {memory: 128Mi}}
        readinessProbe: {httpGet: {path: /healthz, port: http}}
        volumeMounts: [{name: config, mountPath: /etc/web}]
      volumes: [{name: config, configMap: {name: %[1]s}}]
`, name, ns))
}
