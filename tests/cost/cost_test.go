// Package cost_test holds what a run may cost by counting, on the real binary and real servers: no clock is looked at, so
// that it holds on any machine. What it takes in time and memory is measured by tests/bench.
package cost_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"tidemark.dev/tidemark/tests/servers"
)

// kinds are those that each app has objects of.
const kinds = 7

// beyond is how many requests an unchanged run may send the cluster beside one LIST a kind: which cluster it is, and the
// witness.
const beyond = 3

func TestUnchangedRunCostsTheSameWhateverThereIs(t *testing.T) {
	w := newTown(t)
	var before run
	for _, size := range []struct{ apps, each int }{{1, 70}, {10, 7}, {10, 70}} {
		name := fmt.Sprintf("of-%d-apps-%d-objects", size.apps, size.apps*size.each)
		var apps []string
		files := map[string]string{}
		for i := range size.apps {
			apps = append(apps, fmt.Sprintf("app-%d", i))
			files["apps/"+apps[i]+"/deploy/all.yaml"] = objects(apps[i], size.each/kinds)
		}
		l := w.newLedger(t, name, servers.Serving{AnySHA1: true, Filter: true}, apps)
		l.commit(t, files)
		if first := l.sync(t); first.Verdict != "changed" {
			t.Fatalf("%s: the first run is %q, want changed", name, first.Verdict)
		}
		got := l.sync(t)
		if got.Verdict != "unchanged" {
			t.Errorf("%s: the second run is %q, want unchanged", name, got.Verdict)
		}
		others := maps.Clone(got.verbs)
		delete(others, "list")
		delete(others, "get")
		if got.verbs["list"] != kinds || got.verbs["get"] > beyond || len(others) > 0 {
			t.Errorf("%s: requests to the cluster %v, want %d list, at most %d get, nothing else", name, got.verbs, kinds, beyond)
		}
		if got.Cost.Renders != 0 || len(got.Cost.Fetches) > 0 || got.Cost.GitRequests != 1 {
			t.Errorf("%s: got %d renders, fetches %v and %d requests to the git server, want none, none and 1", name, got.Cost.Renders, got.Cost.Fetches, got.Cost.GitRequests)
		}
		if before.verbs != nil {
			if !maps.Equal(got.verbs, before.verbs) {
				t.Errorf("%s: requests to the cluster %v, with less of everything they were %v", name, got.verbs, before.verbs)
			}
			if got.Cost.StoreRequests != before.Cost.StoreRequests {
				t.Errorf("%s: %d requests to the store, with less of everything they were %d", name, got.Cost.StoreRequests, before.Cost.StoreRequests)
			}
		}
		before = got
	}
}

func TestOneOfFiftyApps(t *testing.T) {
	w := newTown(t)
	for name, serving := range map[string]servers.Serving{
		"filters": {AnySHA1: true, Filter: true},
		"whole":   {},
	} {
		t.Run(name, func(t *testing.T) {
			const count, touched = 50, 17
			var apps []string
			files := map[string]string{}
			for i := range count {
				app := fmt.Sprintf("app-%02d", i)
				apps = append(apps, app)
				files["apps/"+app+"/deploy/config.yaml"] = config(app, "one")
				for n := range 8 { // what nobody reads
					files[fmt.Sprintf("apps/%s/src/file-%d.txt", app, n)] = noise(app, n, 4000)
				}
			}
			l := w.newLedger(t, name, serving, apps)
			l.commit(t, files)
			first := l.sync(t)
			if first.Verdict != "changed" || first.Cost.Renders != count {
				t.Fatalf("the first run: %s with %d renders, want changed with %d", first.Verdict, first.Cost.Renders, count)
			}

			own := config(apps[touched], "two")
			commit := l.commit(t, map[string]string{"apps/" + apps[touched] + "/deploy/config.yaml": own})
			got := l.sync(t)
			if got.Cost.Renders != 1 {
				t.Errorf("a commit that touches one app of %d: %d renders, want 1", count, got.Cost.Renders)
			}
			for _, app := range got.Apps {
				want := "unchanged"
				if app.Name == apps[touched] {
					want = "changed"
				}
				if app.Verdict != want {
					t.Errorf("%s: %s, want %s", app.Name, app.Verdict, want)
				}
			}
			l.holdRevisions(t, commit, count)
			if got.verbs["patch"] != 1 {
				t.Errorf("requests to the cluster %v, want 1 patch", got.verbs)
			}

			if len(got.Cost.Fetches) != 1 {
				t.Fatalf("fetches %+v, want 1", got.Cost.Fetches)
			}
			fetch := got.Cost.Fetches[0]
			if name == "whole" {
				if fetch.Way != "whole" || fetch.Note == "" {
					t.Errorf("a server that forbids filters: the record says %+v, want the way whole and why", fetch)
				}
				return
			}
			// As the git server counts, without the framing of HTTP.
			trees := l.treeBytes(t)
			if most := trees/2 + 3*int64(len(own)); fetch.Way != "partial" || fetch.Note != "" || got.git > most {
				t.Errorf("fetched %d bytes by %+v, want at most %d: half the trees' %d and three times the app's own %d", got.git, fetch, most, trees, len(own))
			}
			// The look-up, the trees on the way to the apps, what is in the one that changed, and the commits since.
			if got.Cost.GitRequests != 4 {
				t.Errorf("%d requests to the git server, want 4", got.Cost.GitRequests)
			}
			t.Logf("fetched %d bytes in %d requests; all trees are %d, the app's own file %d", got.git, got.Cost.GitRequests, trees, len(own))
			if whole := int64(count * 8 * 4000); first.git > whole/2 {
				t.Errorf("the first run fetched %d bytes of a repository of more than %d, of which it read a small part", first.git, whole)
			}
		})
	}
}

// holdRevisions holds that every app's revision in the state is the commit.
func (l *ledger) holdRevisions(t *testing.T, commit string, count int) {
	t.Helper()
	var status struct {
		Head struct {
			Apps map[string]struct{ Revision struct{ Commit string } }
		}
	}
	out := l.tidemark(t, "status", "--config", l.file, "-o", "json")
	if err := json.Unmarshal(out, &status); err != nil {
		t.Fatalf("decode the status: %v\n%s", err, out)
	}
	if len(status.Head.Apps) != count {
		t.Errorf("the state holds %d apps, want %d", len(status.Head.Apps), count)
	}
	for name, app := range status.Head.Apps {
		if app.Revision.Commit != commit {
			t.Errorf("%s: the state has it at %s, want %s", name, app.Revision.Commit, commit)
		}
	}
}

// objects are that many objects of each of seven kinds.
func objects(app string, each int) string {
	var b strings.Builder
	for i := range each {
		name := fmt.Sprintf("%s-%d", app, i)
		fmt.Fprintf(&b, `---
{apiVersion: v1, kind: ConfigMap, metadata: {name: %[1]s}, data: {key: value}}
---
{apiVersion: v1, kind: Secret, metadata: {name: %[1]s}, stringData: {key: value}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: %[1]s}}
---
{apiVersion: v1, kind: Service, metadata: {name: %[1]s}, spec: {ports: [{port: 80}]}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: %[1]s}, spec: {selector: {matchLabels: {app: %[1]s}}, template: {metadata: {labels: {app: %[1]s}}, spec: {containers: [{name: main, image: example.test/main}]}}}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: %[1]s}, rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: %[1]s}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: %[1]s}, subjects: [{kind: ServiceAccount, name: %[1]s}]}
`, name)
	}
	return b.String()
}

// config is one ConfigMap.
func config(app, level string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\ndata:\n  level: %s\n  salt: %s\n", app, level, noise(app, 99, 1500))
}

// noise is text that hardly compresses, the same each time.
func noise(app string, n, length int) string {
	seed := uint64(n)
	for _, b := range []byte(app) {
		seed = seed*31 + uint64(b)
	}
	source := rand.New(rand.NewPCG(seed, 1))
	text := make([]byte, length)
	for i := range text {
		text[i] = "abcdefghijklmnopqrstuvwxyz012345"[source.IntN(32)]
	}
	return string(text)
}
