// Package corpus_test syncs real repositories, written by others, with the built
// binary into a real control plane, and holds the cluster against what an
// independent reading of the same files expects.
package corpus_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"tidemark.dev/tidemark/tests/binary"
	"tidemark.dev/tidemark/tests/servers"
)

// world is one application of the corpus: its repository, its cluster, its
// state.
type world struct {
	t       *testing.T
	cluster *servers.ControlPlane
	repo    *servers.Repo
	// env points at repository, cluster and state; the flags at the path.
	env   []string
	flags []string
	mark  int64
}

// record is what the tests read of a run's record.
type record struct {
	Verdict string
	Message string
	Exit    int
	Apps    []struct {
		Name, Verdict, Message, PlanHash string
		Counts                           map[string]int
		Changes                          []struct {
			ID      struct{ Group, Kind, Namespace, Name string }
			Action  string
			Outcome string
			Message string
		}
		Refusals []struct{ Reason, Message, PlanHash string }
		Warnings []string
	}
}

func TestCorpus(t *testing.T) {
	t.Parallel()
	corpus := needCorpus(t)
	groups := map[string][]row{}
	var order []string
	for _, r := range rows(t, corpus) {
		key := r.name + "/" + r.path + "/" + r.engine
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], r)
	}
	for _, key := range order {
		t.Run(strings.ReplaceAll(key, "/", "-"), func(t *testing.T) {
			t.Parallel()
			follow(t, corpus, groups[key])
		})
	}
}

// follow takes one application through its life: all its revisions, then
// documents that are dropped and brought back.
func follow(t *testing.T, corpus string, revisions []row) {
	cluster := servers.For(t, servers.StartControlPlane, servers.ControlPlaneOptions{ControllerManager: true, Audit: true})
	kubectl, err := cluster.Program("kubectl")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, cluster)
	var before []manifest
	for i, r := range revisions {
		now := r.read(t, corpus, kubectl)
		if i == 0 {
			installForeign(t, cluster.Client, now)
		}
		if _, err := w.repo.CommitTree(t.Context(), filepath.Join(corpus, r.name, r.revision), r.revision); err != nil {
			t.Fatal(err)
		}
		w.at(r, r.path)
		w.revision(before, now)
		before = now
	}
	last := revisions[len(revisions)-1]
	w.dropOne(last, before)
	w.dropGuarded(last, before)
}

func newWorld(t *testing.T, cluster *servers.ControlPlane) *world {
	repo, err := servers.NewRepo(t.Context(), filepath.Join(t.TempDir(), "repo"))
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := cluster.Kubeconfig(kubeconfig, servers.Admin); err != nil {
		t.Fatal(err)
	}
	return &world{t: t, cluster: cluster, repo: repo, env: []string{
		"TIDEMARK_STATE=file://" + t.TempDir(), "TIDEMARK_KUBECONFIG=" + kubeconfig,
	}}
}

// at has the app read from a path. What flags cannot say comes from a file.
func (w *world) at(r row, path string) {
	w.t.Helper()
	w.flags = []string{"--app", "corpus", "--repo", w.repo.Dir, "--ref", "main", "--path", path}
	if r.engine != "plain-forced" {
		return
	}
	config, err := yaml.Marshal(map[string]any{
		"apiVersion": "tidemark.dev/v1alpha1",
		"apps": []any{map[string]any{
			"name": "corpus", "source": map[string]any{"repo": w.repo.Dir, "ref": map[string]any{"branch": "main"}, "path": path},
			"render": map[string]any{"engine": "plain"},
		}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	file := filepath.Join(w.t.TempDir(), "tidemark.yaml")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.flags = []string{"--config", file}
}

// tidemark runs the binary and gives the record it printed.
func (w *world) tidemark(exit int, command string, flags ...string) record {
	w.t.Helper()
	args := append([]string{command, "-o", "json"}, append(slices.Clone(w.flags), flags...)...)
	result, err := binary.Run(w.t.Context(), w.env, args...)
	if err != nil {
		w.t.Fatal(err)
	}
	var r record
	if err := json.Unmarshal([]byte(result.Stdout), &r); err != nil {
		w.t.Fatalf("tidemark %s: stdout is no record: %v\n%s\n%s", strings.Join(args, " "), err, result.Stdout, result.Stderr)
	}
	if result.Exit != exit {
		w.t.Fatalf("tidemark %s: exit %d, want %d\n%s", strings.Join(args, " "), result.Exit, exit, r)
	}
	return r
}

// String shows what matters of a record.
func (r record) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s (%d) %s\n", r.Verdict, r.Exit, r.Message)
	for _, app := range r.Apps {
		fmt.Fprintf(&out, "%s %s %v %q\n", app.Verdict, app.Message, app.Counts, app.Warnings)
		for _, c := range app.Changes {
			if c.Outcome != "created" && c.Outcome != "changed" {
				fmt.Fprintf(&out, "  %s %v: %s %s\n", c.Action, c.ID, c.Outcome, c.Message)
			}
		}
		for _, refusal := range app.Refusals {
			fmt.Fprintf(&out, "  refused: %s: %s\n", refusal.Reason, refusal.Message)
		}
	}
	return out.String()
}

// outcomes gives the objects by what became of them.
func (r record) outcomes() map[string][]string {
	all := map[string][]string{}
	for _, c := range r.Apps[0].Changes {
		all[c.Outcome] = append(all[c.Outcome], strings.Join([]string{c.ID.Group, c.ID.Kind, c.ID.Namespace, c.ID.Name}, "|"))
	}
	for _, ids := range all {
		slices.Sort(ids)
	}
	return all
}

// revision syncs a new revision: exactly the difference is created, changed and
// pruned; and nothing is done again, whatever the controllers did meanwhile.
func (w *world) revision(before, now []manifest) {
	w.t.Helper()
	want := difference(w.expected(before), w.expected(now), before, now)
	first := w.tidemark(0, "sync")
	if diff := cmp.Diff(want, first.outcomes()); diff != "" {
		w.t.Fatalf("what the sync did (-want +got):\n%s", diff)
	}
	w.holds(now)
	w.unchanged(now, "right after the sync")
	settled(w.t, w.cluster.Client)
	w.unchanged(now, "after the controllers did their work")
}

func (w *world) expected(all []manifest) []string {
	if all == nil {
		return nil
	}
	return expected(w.t, w.cluster.Client, all)
}

// difference tells what must become of each object.
func difference(oldIDs, newIDs []string, before, now []manifest) map[string][]string {
	text := func(all []manifest) map[string]string {
		byID := map[string]string{}
		for _, m := range all {
			data, _ := json.Marshal(m)
			id := strings.Split(m.id(), "|")
			byID[id[0]+"|"+id[1]+"|"+id[3]+"|"+id[2]] = string(data)
		}
		return byID
	}
	// Sorted alike, the IDs with and without their default namespace go together.
	old, current := text(before), text(now)
	key := func(id string) (string, string) {
		f := strings.Split(id, "|")
		return f[0] + "|" + f[1] + "|" + f[3] + "|" + f[2], f[0] + "|" + f[1] + "|" + f[3] + "|"
	}
	get := func(texts map[string]string, id string) string {
		full, bare := key(id)
		if text, ok := texts[full]; ok {
			return text
		}
		if text, ok := texts[bare]; ok {
			return text
		}
		for k, text := range texts { // a namespace that was written on a cluster-scoped object
			if strings.HasPrefix(k, bare) {
				return text
			}
		}
		return ""
	}
	all := map[string][]string{}
	for _, id := range newIDs {
		switch {
		case !slices.Contains(oldIDs, id):
			all["created"] = append(all["created"], id)
		case get(old, id) != get(current, id):
			all["changed"] = append(all["changed"], id)
		}
	}
	for _, id := range oldIDs {
		if !slices.Contains(newIDs, id) {
			all["pruned"] = append(all["pruned"], id)
		}
	}
	return all
}

// holds checks that the cluster holds exactly the expected objects of ours.
func (w *world) holds(now []manifest) {
	w.t.Helper()
	if diff := cmp.Diff(w.expected(now), ours(w.t, w.cluster.Client)); diff != "" {
		w.t.Fatalf("what the cluster holds (-want +got):\n%s", diff)
	}
}

// unchanged syncs once more: no write to the cluster, and no request per
// object.
func (w *world) unchanged(now []manifest, when string) {
	w.t.Helper()
	_, w.mark = since(w.t, w.cluster, w.mark)
	r := w.tidemark(0, "sync")
	if r.Verdict != "unchanged" || r.Apps[0].Counts["unchanged"] != len(now) {
		w.t.Fatalf("%s, a second sync is not unchanged: %s", when, r)
	}
	sent, next := since(w.t, w.cluster, w.mark)
	w.mark = next
	kinds := map[string]bool{}
	for _, m := range now {
		kinds[m.group()+"|"+m.str("kind")] = true
	}
	if len(sent.writes) > 0 || len(sent.reads) > 0 || sent.lists > len(kinds) || sent.total > len(kinds)+constant || sent.witness != 1 {
		w.t.Errorf("%s, an unchanged sync of %d objects of %d kinds sent %d requests, %d lists, the writes %q, the single reads %q and %d for the witness; want at most kinds + %d, none of the writes and reads, one for the witness",
			when, len(now), len(kinds), sent.total, sent.lists, sent.writes, sent.reads, sent.witness, constant)
	}
}

// constant is what a run asks whatever it owns: the cluster's identity, its
// version, and its kinds.
const constant = 6

// unprotected are kinds that are pruned without approval.
var unprotected = []string{"|ConfigMap|", "|Service|", "|ServiceAccount|", "apps|Deployment|", "|Secret|", "networking.k8s.io|NetworkPolicy|"}

var generated = regexp.MustCompile(`^\|(ConfigMap|Secret)\|.*-[a-z0-9]{10}$`)

func prunable(ids []string) []string {
	var some []string
	for _, kind := range unprotected {
		for _, id := range ids {
			// A generated name cannot be named in an overlay.
			if strings.HasPrefix(id, kind) && !generated.MatchString(id) {
				some = append(some, id)
			}
		}
	}
	return some
}

// dropOne drops one document of a kind that is not protected.
func (w *world) dropOne(r row, now []manifest) {
	w.t.Helper()
	victims := prunable(w.expected(now))
	if len(victims) == 0 {
		w.t.Fatal("the application has no object that may be pruned without approval")
	}
	w.drop(r, now, victims[:1])
	pruned := w.tidemark(0, "sync")
	if diff := cmp.Diff(map[string][]string{"pruned": victims[:1]}, pruned.outcomes()); diff != "" {
		w.t.Fatalf("what the sync without %s did (-want +got):\n%s", victims[0], diff)
	}
	w.restore(r, now, victims[:1])
}

// dropGuarded drops what a guard protects: a definition that nothing here needs,
// or more than the budget.
func (w *world) dropGuarded(r row, now []manifest) {
	w.t.Helper()
	ids := w.expected(now)
	var victims []string
	kinds := map[string]bool{}
	for _, m := range now {
		kinds[m.group()+"|"+m.str("kind")] = true
	}
	for _, m := range now {
		if m.str("kind") == "CustomResourceDefinition" && !kinds[m.str("spec", "group")+"|"+m.str("spec", "names", "kind")] {
			victims = []string{"apiextensions.k8s.io|CustomResourceDefinition||" + m.str("metadata", "name")}
			break
		}
	}
	reason := "protected"
	if victims == nil {
		reason = "budget"
		victims = prunable(ids)
		if n := len(ids)/5 + 1; len(victims) > n {
			victims = victims[:min(len(victims), max(n, 6))]
		}
		if len(victims) < 6 {
			w.t.Logf("%d objects, none of them protected: there is nothing here that a guard would refuse", len(ids))
			return
		}
	}
	slices.Sort(victims)
	w.drop(r, now, victims)
	before := uids(w.t, w.cluster.Client)
	_, w.mark = since(w.t, w.cluster, w.mark)
	refused := w.tidemark(10, "sync")
	if got := refused.Apps[0].Refusals; len(got) == 0 || got[0].Reason != reason {
		w.t.Fatalf("refusals = %+v, want %s", got, reason)
	}
	if sent, next := since(w.t, w.cluster, w.mark); true {
		w.mark = next
		for _, write := range sent.writes {
			if !strings.Contains(write, "dryRun=All") {
				w.t.Errorf("the refused run wrote: %s", write)
			}
		}
	}
	after := uids(w.t, w.cluster.Client)
	for _, id := range victims {
		if after[id] == "" || after[id] != before[id] {
			w.t.Errorf("%s was touched by the refused run", id)
		}
	}
	passed := w.tidemark(0, "sync", "--confirm", refused.Apps[0].Refusals[0].PlanHash, "--reason", "the test wants it")
	if diff := cmp.Diff(map[string][]string{"pruned": victims}, passed.outcomes()); diff != "" {
		w.t.Fatalf("what the confirmed sync did (-want +got):\n%s", diff)
	}
	w.restore(r, now, victims)
}

// drop commits a revision without some objects: a Kustomize overlay that
// deletes them, or files without their documents.
func (w *world) drop(r row, now []manifest, victims []string) {
	w.t.Helper()
	gone := func(m manifest) bool {
		return slices.ContainsFunc(victims, func(id string) bool {
			f := strings.Split(id, "|")
			return m.group() == f[0] && m.str("kind") == f[1] && m.str("metadata", "name") == f[3] &&
				(m.str("metadata", "namespace") == f[2] || m.str("metadata", "namespace") == "" || f[2] == "")
		})
	}
	if r.engine == "kustomize" {
		var patches []any
		for _, m := range now {
			if gone(m) {
				metadata := map[string]any{"name": m.str("metadata", "name")}
				if namespace := m.str("metadata", "namespace"); namespace != "" {
					metadata["namespace"] = namespace
				}
				patch, _ := json.Marshal(map[string]any{"$patch": "delete", "apiVersion": m.str("apiVersion"), "kind": m.str("kind"), "metadata": metadata})
				patches = append(patches, map[string]any{"patch": string(patch)})
			}
		}
		if r.path == "." { // an overlay cannot lie below its base
			w.commit(map[string]string{"kustomization.yaml": patched(w.t, filepath.Join(w.repo.Dir, "kustomization.yaml"), patches)})
			return
		}
		overlay, _ := json.Marshal(map[string]any{
			"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
			"resources": []any{"../" + r.path}, "patches": patches,
		})
		w.commit(map[string]string{"tidemark-drop/kustomization.yaml": string(overlay)})
		w.at(r, "tidemark-drop")
		return
	}
	at := filepath.Join(w.repo.Dir, r.path)
	changed := map[string]string{}
	err := filepath.WalkDir(at, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)) {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		kept, dropped := without(w.t, string(text), gone)
		if dropped {
			name, _ := filepath.Rel(w.repo.Dir, path)
			changed[name] = kept
		}
		return nil
	})
	if err != nil || len(changed) == 0 {
		w.t.Fatalf("drop %q: %d files changed, %v", victims, len(changed), err)
	}
	w.commit(changed)
}

// patched gives a kustomization file with patches.
func patched(t *testing.T, file string, patches []any) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var kustomization map[string]any
	if err := yaml.Unmarshal(text, &kustomization); err != nil {
		t.Fatal(err)
	}
	kustomization["patches"] = patches
	out, err := yaml.Marshal(kustomization)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// without leaves documents out of a file. A list that holds one is written as
// the documents it holds.
func without(t *testing.T, text string, gone func(manifest) bool) (kept string, dropped bool) {
	t.Helper()
	var out []string
	for _, document := range separator.Split(text, -1) {
		var m manifest
		if err := yaml.Unmarshal([]byte(document), &m); err != nil {
			t.Fatal(err)
		}
		items := flatten(m)
		if !slices.ContainsFunc(items, gone) {
			out = append(out, document)
			continue
		}
		dropped = true
		for _, item := range items {
			if !gone(item) {
				data, _ := json.Marshal(item)
				out = append(out, string(data)+"\n")
			}
		}
	}
	return strings.Join(out, "\n---\n"), dropped
}

func (w *world) commit(files map[string]string) {
	w.t.Helper()
	if _, err := w.repo.Commit(w.t.Context(), files, "drop"); err != nil {
		w.t.Fatal(err)
	}
}

// restore brings back what was dropped.
func (w *world) restore(r row, now []manifest, victims []string) {
	w.t.Helper()
	eventually(w.t, "the pruned objects are gone", func() bool {
		live := uids(w.t, w.cluster.Client)
		return !slices.ContainsFunc(victims, func(id string) bool { return live[id] != "" })
	})
	if _, err := w.repo.Git(w.t.Context(), "reset", "--hard", "HEAD~1"); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.repo.Commit(w.t.Context(), nil, "restore"); err != nil {
		w.t.Fatal(err)
	}
	w.at(r, r.path)
	back := w.tidemark(0, "sync")
	if diff := cmp.Diff(map[string][]string{"created": victims}, back.outcomes()); diff != "" {
		w.t.Fatalf("what bringing the dropped objects back did (-want +got):\n%s", diff)
	}
	w.holds(now)
	w.unchanged(now, "after bringing the dropped objects back")
}
