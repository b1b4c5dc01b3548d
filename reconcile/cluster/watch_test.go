package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/cluster"
	"tidemark.dev/tidemark/reconcile/health"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/tests/servers"
)

// shown is what a watch has shown, as "name=key" of ConfigMaps.
type shown struct {
	mu    sync.Mutex
	now   map[string]string
	moved chan struct{}
}

func (s *shown) tell(sight health.Sight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sight.Anew {
		s.now = map[string]string{}
	}
	for _, content := range sight.Objects {
		data, _ := content["data"].(map[string]any)
		metadata := content["metadata"].(map[string]any)
		if content["kind"] != "ConfigMap" || content["apiVersion"] != "v1" || metadata["managedFields"] != nil {
			s.now[fmt.Sprint(metadata["name"])] = "not a lean ConfigMap"
			continue
		}
		s.now[fmt.Sprint(metadata["name"])] = fmt.Sprint(data["key"])
	}
	for _, id := range sight.Gone {
		delete(s.now, id.Name)
	}
	select {
	case s.moved <- struct{}{}:
	default:
	}
}

// until waits until the watch has shown just this.
func (s *shown) until(t *testing.T, want ...string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		s.mu.Lock()
		var got []string
		for name, key := range s.now {
			got = append(got, name+"="+key)
		}
		s.mu.Unlock()
		slices.Sort(got)
		if slices.Equal(got, want) {
			return
		}
		select {
		case <-s.moved:
		case <-deadline:
			t.Fatalf("shown: %q, want %q", got, want)
		}
	}
}

func watch(t *testing.T, c *cluster.Cluster, of health.Scope) *shown {
	t.Helper()
	s := &shown{moved: make(chan struct{}, 1), now: map[string]string{}}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Watch(ctx, of, s.tell) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the watch ended with %v, want %v", err, context.Canceled)
		}
	})
	return s
}

func labelled(t *testing.T, c *cluster.Cluster, namespace, name, value string) {
	t.Helper()
	o := configMap(t, namespace, name, value)
	meta, err := c.Metadata(t.Context(), o.ID, "v1")
	if errors.Is(err, apply.ErrNotFound) {
		must(t, c, o, apply.Target{})
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	must(t, c, o, target(meta))
}

func remove(t *testing.T, namespace, name string) {
	t.Helper()
	admin(t, func(ctx context.Context, plane *servers.ControlPlane) error {
		return plane.Delete(ctx, "/api/v1/namespaces/"+namespace+"/configmaps/"+name)
	})
}

func TestWatch(t *testing.T) {
	t.Parallel()
	c := open(t, func(o *cluster.Options) { o.PageSize = 1 })
	ns := namespace(t)
	labelled(t, c, ns, "one", "1")
	labelled(t, c, ns, "two", "1")
	of := health.Scope{Kind: object.GroupKind{Kind: "ConfigMap"}, Namespace: ns, Label: "team", Value: "blue"}
	all := watch(t, c, of)
	single := watch(t, c, health.Scope{Kind: object.GroupKind{Kind: "ConfigMap"}, Namespace: ns, Name: "two"})
	all.until(t, "one=1", "two=1")
	single.until(t, "two=1")
	labelled(t, c, ns, "three", "1")
	labelled(t, c, ns, "two", "2")
	remove(t, ns, "one")
	all.until(t, "three=1", "two=2")
	single.until(t, "two=2")
	remove(t, ns, "two")
	single.until(t)
}

// A watch goes on whatever becomes of its streams, and misses nothing.
func TestWatchSurvives(t *testing.T) {
	for name, fault := range map[string]func(http.ResponseWriter, *http.Request){
		"a stream that is cut": cut,
		"a stream that ends":   func(http.ResponseWriter, *http.Request) {},
		"a version that is too old": func(w http.ResponseWriter, _ *http.Request) {
			answer(w, http.StatusGone, nil, map[string]any{"reason": "Expired"})
		},
		"a version that gets too old": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","code":410,"reason":"Expired"}}`)
		},
		"half an event": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"type":"MODIFIED","object":{"kind":"Conf`)
		},
		"a busy server": func(w http.ResponseWriter, _ *http.Request) {
			answer(w, http.StatusTooManyRequests, http.Header{"Retry-After": {"1"}}, map[string]any{"reason": "TooManyRequests"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := namespace(t)
			admin := open(t, nil)
			labelled(t, admin, ns, "one", "1")
			var mu sync.Mutex
			faults := 0
			c := behind(t, func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Query().Get("watch") == "" || !strings.HasSuffix(r.URL.Path, "/configmaps") {
					return false
				}
				mu.Lock()
				defer mu.Unlock()
				if faults++; faults > 2 {
					return false
				}
				// What happens while nobody looks is shown nevertheless.
				if faults == 2 {
					labelled(t, admin, ns, "two", "1")
					remove(t, ns, "one")
				}
				fault(w, r)
				return true
			})
			s := watch(t, c, health.Scope{Kind: object.GroupKind{Kind: "ConfigMap"}, Namespace: ns, Label: "team", Value: "blue"})
			s.until(t, "two=1")
			labelled(t, admin, ns, "three", "1")
			s.until(t, "three=1", "two=1")
		})
	}
}

// What asking again would not change ends the watch.
func TestWatchEnds(t *testing.T) {
	t.Parallel()
	plane := controlPlane(t)
	limited := open(t, func(o *cluster.Options) { o.Token = plane.User("limited").Token })
	for name, test := range map[string]struct {
		c    *cluster.Cluster
		kind object.GroupKind
		want error
	}{
		"no permission":             {limited, object.GroupKind{Kind: "ConfigMap"}, apply.ErrForbidden},
		"a kind that is not served": {open(t, nil), object.GroupKind{Group: "example.com", Kind: "Nothing"}, apply.ErrNoKind},
	} {
		err := test.c.Watch(t.Context(), health.Scope{Kind: test.kind}, func(health.Sight) {})
		if !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
}
