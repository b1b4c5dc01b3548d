package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
	"tidemark.dev/tidemark/state/mem"
)

// ailments lists the checks that are not fine, "part what: health".
func ailments(checks []reconcile.Check) string {
	var all []string
	for _, c := range checks {
		if c.Health != reconcile.Fine {
			all = append(all, fmt.Sprintf("%s %s: %s", c.Part, c.What, c.Health))
		}
	}
	return strings.Join(all, ", ")
}

func TestDoctorFindsNothing(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	w.attend()
	for _, when := range []string{"before the first run", "after it"} {
		before := w.names()
		job := w.open()
		checks := reconcile.Doctor(t.Context(), job, reconcile.Unopened{})
		if got := ailments(checks); got != "" || len(checks) < 10 {
			t.Errorf("%s: %s\n%+v", when, got, checks)
		}
		if after := w.names(); after != before {
			t.Errorf("%s: the state went from\n%s\nto\n%s", when, before, after)
		}
		for verb, n := range job.Cluster.Requests() {
			switch verb {
			case "get", "list", "discover", "review":
			default:
				t.Errorf("%s: %d requests to %s", when, n, verb)
			}
		}
		w.sync(0)
	}
	if got := web.get(t, "one"); got != "1" {
		t.Errorf("one = %q", got)
	}
}

// unfriendly is a cluster that denies, or does not answer.
type unfriendly struct {
	repairable
	identity error
	denied   map[string]bool
	review   error
}

func (u unfriendly) Identity(ctx context.Context) (string, error) {
	if u.identity != nil {
		return "", u.identity
	}
	return u.repairable.Identity(ctx)
}

func (u unfriendly) Review(_ context.Context, p apply.Permission) (bool, error) {
	return !u.denied[p.String()], u.review
}

func TestDoctorFinds(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	web.deployment("front", "one")
	web.hook("alarm", "name: alarm", "argocd.argoproj.io/hook: SyncFail")
	w := newWorld(t, web)
	w.attend()
	w.sync(0)
	w.sync(0)
	whole := w.store
	ns := web.app.Namespace
	deny := func(denied ...string) func(*reconcile.Job) {
		return func(job *reconcile.Job) {
			u := unfriendly{repairable: job.Cluster.(repairable), denied: map[string]bool{}}
			for _, p := range denied {
				u.denied[p] = true
			}
			job.Cluster = u
		}
	}
	waiting := func(edit func(*reconcile.Job)) func(*reconcile.Job) {
		return func(job *reconcile.Job) {
			configure := job.Configure
			job.Configure = func(ctx context.Context, before *reconcile.Committed) (reconcile.Config, error) {
				config, err := configure(ctx, before)
				config.Apps[0].Wait = reconcile.Wait{All: true, For: []object.ID{{Kind: "Namespace", Name: "kube-system"}}}
				return config, err
			}
			edit(job)
		}
	}
	for _, test := range []struct {
		name string
		// spoil changes the copy of the state that the doctor is shown.
		spoil func(w *world)
		edit  func(*reconcile.Job)
		want  string
		is    error
		words string
	}{
		{"an unfit store", func(w *world) { w.store = careless{w.store.(*mem.Store)} }, nil, "store conditional writes: failed", state.ErrUnfit, ""},
		{"a slow store", nil, func(job *reconcile.Job) {
			var mu sync.Mutex
			then := time.Now()
			job.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); then = then.Add(3 * time.Second); return then }
		}, "store latency: warning", reconcile.ErrSlow, "takes 3s to answer"},
		{"a damaged head", func(w *world) { w.spoil("head.json", []byte("{")) }, nil, "state head: failed", state.ErrDamaged, "head.json"},
		{"a lost head", func(w *world) { w.spoil("head.json", nil) }, nil, "state head: failed, witness knows: failed", state.ErrRolledBack, "no head"},
		{"a missing inventory", func(w *world) { w.spoil(w.head().Apps["web"].Inventory.Path, nil) }, nil, "state inventory: failed", state.ErrDamaged, "inventory of app web"},
		{"another ledger's witness", nil, func(job *reconcile.Job) {
			job.Witness = wiser{}
		}, "witness knows: failed", reconcile.ErrWitness, "the cluster knows this ledger as x"},
		{"a witness that may not be read", nil, func(job *reconcile.Job) { job.Witness = forbidding{} }, "witness knows: warning", nil, "goes unnoticed"},
		{"a witness that may not be written", nil, deny("update Lease.coordination.k8s.io in default (" + w.witness + ")"), "witness permissions: warning", reconcile.ErrDenied, "update in default: without it"},
		{"another cluster", nil, func(job *reconcile.Job) { job.Cluster = foreign{job.Cluster.(reviewable)} }, "cluster identity: failed", reconcile.ErrCluster, ""},
		{"an identity that may not be read", nil, func(job *reconcile.Job) {
			job.Cluster = unfriendly{repairable: job.Cluster.(repairable), identity: apply.ErrForbidden}
		}, "cluster identity: failed", reconcile.ErrDenied, ""},
		{"a cluster that does not answer", nil, func(job *reconcile.Job) {
			job.Cluster = unfriendly{repairable: job.Cluster.(repairable), identity: apply.ErrUnreachable}
		}, "cluster identity: failed, app web: unchecked, permissions objects: unchecked", apply.ErrUnreachable, ""},
		{"no permission", nil, deny("patch ConfigMap in "+ns, "delete ConfigMap in "+ns, "get Namespace"), "permissions ConfigMap: failed, permissions Namespace: failed", reconcile.ErrDenied, "delete, patch in " + ns},
		{"lists in one namespace only", nil, deny("list ConfigMap"), "", nil, ""},
		{"no lists", nil, deny("list ConfigMap", "list ConfigMap in "+ns), "permissions ConfigMap: failed", reconcile.ErrDenied, "list in " + ns},
		{"watches in one namespace only", nil, waiting(deny("watch Deployment.apps", "list Event")), "", nil, ""},
		{"no watches", nil, waiting(deny("watch Deployment.apps", "watch Deployment.apps in "+ns)), "permissions Deployment.apps: failed", reconcile.ErrDenied, "watch in " + ns + ": without it nobody sees"},
		{"no logs", nil, waiting(deny("get Pod/log in "+ns, "list Event in "+ns)), "permissions evidence: warning", reconcile.ErrDenied, "Event (list in " + ns + "), Pod/log (get in " + ns + "): without it, the record"},
		{"a named object that may not be watched", nil, waiting(deny("watch Namespace (kube-system)")), "permissions health checks: warning", reconcile.ErrDenied, "Namespace kube-system (watch): without"},
		{"no rights that nobody needs", nil, deny("watch Deployment.apps", "watch Deployment.apps in "+ns, "get Pod/log in "+ns), "", nil, ""},
		{"no permission for hooks", nil, deny("delete Job.batch in "+ns, "watch Job.batch in "+ns, "watch Job.batch"), "permissions Job.batch: failed", reconcile.ErrDenied, "delete, watch in " + ns},
		{"no answer about permissions", nil, func(job *reconcile.Job) {
			job.Cluster = unfriendly{repairable: job.Cluster.(repairable), review: apply.ErrUnanswered}
		}, "witness permissions: failed, permissions objects: failed", apply.ErrUnanswered, ""},
		{"no configuration", nil, func(job *reconcile.Job) { job.Configure = nil }, "configuration apps: unchecked", nil, ""},
		{"a bad configuration", nil, func(job *reconcile.Job) {
			job.Configure = func(context.Context, *reconcile.Committed) (reconcile.Config, error) {
				return reconcile.Config{}, errors.New("line 3")
			}
		}, "configuration apps: failed", nil, "line 3"},
		{
			"nothing at all", nil, func(job *reconcile.Job) { job.Ledger, job.Cluster, job.Witness, job.Configure = nil, nil, nil, nil },
			"store state URL: failed, cluster access: failed, configuration apps: unchecked, permissions objects: unchecked", errUnopened, "",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w.t, w.store = t, whole
			defer func() { w.store = whole }()
			if test.spoil != nil {
				w.store = w.copyStore()
				test.spoil(w)
			}
			job := w.open()
			if test.edit != nil {
				test.edit(&job)
			}
			checks := reconcile.Doctor(t.Context(), job, reconcile.Unopened{Ledger: errUnopened, Cluster: errUnopened})
			if got := ailments(checks); got != test.want {
				t.Errorf("got %q, want %q\n%+v", got, test.want, checks)
			}
			first := slices.IndexFunc(checks, func(c reconcile.Check) bool { return c.Health != reconcile.Fine })
			if first < 0 {
				return
			}
			if c := checks[first]; test.is != nil && !errors.Is(c.Err, test.is) || !strings.Contains(c.Message, test.words) {
				t.Errorf("%s %s: %s (%v); want %v with %q", c.Part, c.What, c.Message, c.Err, test.is, test.words)
			}
		})
	}
}

var errUnopened = errors.New("it cannot be opened")

type reviewable interface {
	repairable
	Review(ctx context.Context, p apply.Permission) (granted bool, err error)
}

// foreign is another cluster that can be asked everything.
type foreign struct{ reviewable }

func (foreign) Identity(context.Context) (string, error) { return "another", nil }

// wiser is a witness that knows more than the head.
type wiser struct{ reconcile.Witness }

func (wiser) ReadWitness(context.Context) (apply.Witness, error) {
	return apply.Witness{Lineage: "x", Epoch: 99, Version: "1"}, nil
}

// What is wrong with one app is said of that app; a dead run's lease, and clocks
// that are apart, are worth a look.
func TestDoctorOnAppsAndClocks(t *testing.T) {
	t.Parallel()
	web, gone := newApp(t, "web"), newApp(t, "gone")
	web.configMap("one", "1")
	web.files["lamp.yaml"] = "apiVersion: doctor.test/v1\nkind: Lamp\nmetadata: {name: one, namespace: " + web.app.Namespace + "}\n"
	gone.fails = errors.New("no such repository")
	w := newWorld(t, web, gone)
	ahead := time.Duration(0)
	var mu sync.Mutex
	w.store = mem.Open(mem.Options{Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return time.Now().Add(ahead)
	}})
	if _, err := w.open().Ledger.Claim(t.Context(), state.Head{Lineage: "x"}, nil); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	ahead = time.Hour
	mu.Unlock()
	checks := reconcile.Doctor(t.Context(), w.open(), reconcile.Unopened{})
	want := "store clock: warning, state lease: warning, witness kept: unchecked, app gone: failed, permissions unknown kinds: unchecked"
	if got := ailments(checks); got != want {
		t.Errorf("got %q, want %q\n%+v", got, want, checks)
	}
	for _, c := range checks {
		for what, words := range map[string]string{"gone": "resolve: no such repository", "lease": "seems to be dead", "clock": "1h0m0s ahead", "unknown kinds": "Lamp.doctor.test"} {
			if c.What == what && !strings.Contains(c.Message, words) {
				t.Errorf("%s: %q, want %q", what, c.Message, words)
			}
		}
	}
}
