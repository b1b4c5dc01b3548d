package deploy_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tidemark.dev/tidemark/tests/binary"
	"tidemark.dev/tidemark/tests/servers"
)

const config = `apiVersion: tidemark.dev/v1alpha1
repositories:
- {name: shop, url: %s}
- {name: private, url: %[1]s, auth: {secretRef: {namespace: tidemark, name: credentials}}}
defaults: {namespace: web, timeout: 1s}
apps:
- {name: settings, source: {repo: private, path: settings}}
- {name: shop, source: {repo: shop, path: shop}, wait: true}
`

const (
	settingOne = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {a: %q}\n"
	settingTwo = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: two}\n"
	reader     = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: %s}\nrules: [{apiGroups: [\"\"], resources: [limitranges], verbs: [get]}]\n"
	binding    = "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: %s}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: tried-foreign}\nsubjects: [{kind: Group, apiGroup: rbac.authorization.k8s.io, name: testers}]\n"
	deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %[1]s}\nspec:\n  replicas: 0\n  selector: {matchLabels: {app: %[1]s}}\n  template:\n    metadata: {labels: {app: %[1]s}}\n    spec: {containers: [{name: c, image: shop}]}\n"
)

// shop is a repository of two commits: the second changes something and takes something of each kind away.
type shop struct {
	repo   *servers.Repo
	config string
	first  string
	second string
}

func newShop(t *testing.T) shop {
	t.Helper()
	s := shop{repo: repository(t)}
	s.config = write(t, "tidemark.yaml", fmt.Sprintf(config, s.repo.Dir))
	var err error
	s.first, err = s.repo.Commit(t.Context(), map[string]string{
		"settings/one.yaml": fmt.Sprintf(settingOne, "1"), "settings/two.yaml": settingTwo,
		"settings/reader.yaml": fmt.Sprintf(reader, "tried-reader"), "settings/second.yaml": fmt.Sprintf(reader, "tried-second"),
		"settings/binding.yaml": fmt.Sprintf(binding, "first"), "settings/other.yaml": fmt.Sprintf(binding, "second"),
		"shop/front.yaml": fmt.Sprintf(deployment, "front"), "shop/back.yaml": fmt.Sprintf(deployment, "back"),
	}, "first")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.repo.Remove("settings/two.yaml", "settings/second.yaml", "settings/other.yaml", "shop/back.yaml"); err != nil {
		t.Fatal(err)
	}
	if s.second, err = s.repo.Commit(t.Context(), map[string]string{"settings/one.yaml": fmt.Sprintf(settingOne, "2")}, "second"); err != nil {
		t.Fatal(err)
	}
	s.at(t, s.first)
	return s
}

func (s shop) at(t *testing.T, commit string) {
	t.Helper()
	if _, err := s.repo.Git(t.Context(), "reset", "-q", "--hard", commit); err != nil {
		t.Fatal(err)
	}
}

// surroundings are the objects that a run is told it runs from, and the Secret that it reads.
func surroundings(t *testing.T) {
	t.Helper()
	const owner = `"ownerReferences":[{"apiVersion":"batch/v1","kind":%q,"name":"tidemark","uid":%q,"controller":true}]`
	uid := func(path string) string {
		answer, err := cluster.Get(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		var o struct{ Metadata struct{ UID string } }
		if err := json.Unmarshal(answer, &o); err != nil {
			t.Fatal(err)
		}
		return o.Metadata.UID
	}
	put := func(path, object string) {
		if _, err := cluster.Apply(t.Context(), path, "admin", []byte(object)); err != nil {
			t.Fatal(err)
		}
	}
	const pod = `{"restartPolicy":"Never","containers":[{"name":"c","image":"tidemark"}]}`
	at := "/apis/batch/v1/namespaces/tidemark/"
	put(at+"cronjobs/tidemark", `{"apiVersion":"batch/v1","kind":"CronJob","metadata":{"name":"tidemark"},"spec":{"schedule":"0 0 1 1 *","jobTemplate":{"spec":{"template":{"spec":`+pod+`}}}}}`)
	put(at+"jobs/tidemark", `{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"tidemark",`+fmt.Sprintf(owner, "CronJob", uid(at+"cronjobs/tidemark"))+`},"spec":{"template":{"spec":`+pod+`}}}`)
	put("/api/v1/namespaces/tidemark/pods/tidemark", `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"tidemark",`+fmt.Sprintf(owner, "Job", uid(at+"jobs/tidemark"))+`},"spec":`+pod+`}`)
	put("/api/v1/namespaces/tidemark/secrets/credentials", `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"credentials"},"stringData":{"username":"u","password":"not-a-secret"}}`)
	put("/apis/rbac.authorization.k8s.io/v1/clusterroles/tried-foreign", `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"tried-foreign"},"rules":[{"apiGroups":[""],"resources":["resourcequotas"],"verbs":["get"]}]}`)
	// A pod of the front that does not work: its log is asked for.
	put("/api/v1/namespaces/web/pods/front", `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"front","labels":{"app":"front"}},"spec":`+pod+`}`)
	if _, err := cluster.Patch(t.Context(), "/api/v1/namespaces/web/pods/front/status", []byte(`{"status":{"phase":"Running","containerStatuses":[{"name":"c","image":"tidemark","imageID":"x","ready":false,"restartCount":1,"state":{"waiting":{"reason":"CrashLoopBackOff"}}}]}}`)); err != nil {
		t.Fatal(err)
	}
}

// story is three runs, with what they said; the last has nothing to do.
func (s shop) story(t *testing.T, env []string) []binary.Result {
	t.Helper()
	const roles, deployments = "/apis/rbac.authorization.k8s.io/v1/", "/apis/apps/v1/namespaces/web/deployments/"
	discard(t, "/api/v1/namespaces/web/configmaps/one", "/api/v1/namespaces/web/configmaps/two", deployments+"front", deployments+"back",
		roles+"clusterroles/tried-reader", roles+"clusterroles/tried-second", roles+"namespaces/web/rolebindings/first", roles+"namespaces/web/rolebindings/second")
	// The witness goes by the state's place, which is new each time.
	args := []string{"sync", "--config", s.config, "--state", filepath.Join(t.TempDir(), "state"), "-o", "json"}
	s.at(t, s.first)
	said := []binary.Result{tidemark(t, env, args...)}
	_, _ = cluster.Patch(t.Context(), deployments+"front/status", []byte(`{"status":{"observedGeneration":1,"conditions":[{"type":"Available","status":"True"},{"type":"Progressing","status":"True","reason":"NewReplicaSetAvailable"}]}}`))
	s.at(t, s.second)
	said = append(said, tidemark(t, env, args...))
	return append(said, tidemark(t, env, args...))
}

// looked gives how many objects a run asked for one by one.
func looked(t *testing.T, said binary.Result) int {
	t.Helper()
	var record struct {
		Cost struct{ KubernetesRequests map[string]int }
	}
	if err := json.Unmarshal([]byte(said.Stdout), &record); err != nil {
		t.Fatalf("%v: %s", err, said.Stdout)
	}
	return record.Cost.KubernetesRequests["get"]
}

// TestRights shows that what tidemark rbac prints is enough, and that no part of it can be missing: each right is taken away
// in turn, and some run says so.
func TestRights(t *testing.T) {
	surroundings(t)
	s := newShop(t)
	admin := []string{"KUBECONFIG=" + kubeconfig(t, servers.Admin)}
	printed := tidemark(t, admin, "rbac", "--config", s.config, "--state", filepath.Join(t.TempDir(), "state"))
	if printed.Exit != 0 {
		t.Fatalf("exit %d\n%s", printed.Exit, printed.Stderr)
	}
	// The witness of each story has a name of its own.
	text := printed.Stdout
	roles := documents(t, text)
	env := []string{
		"KUBECONFIG=" + kubeconfig(t, account), "TIDEMARK_POD_NAME=tidemark", "TIDEMARK_POD_NAMESPACE=tidemark", "TIDEMARK_SERVICE_ACCOUNT=tidemark",
	}
	unname(roles)
	for _, role := range roles {
		applyAs(t, role)
	}
	all := rightsIn(roles)
	for _, r := range all {
		allowed(t, r.attributes(), true)
	}

	full := s.story(t, env)
	for i, said := range full {
		if want := []int{11, 0, 0}[i]; said.Exit != want || complains(said) {
			t.Errorf("run %d with all rights: exit %d, want %d\n%s\n%s\n%s", i+1, said.Exit, want, said.Stdout, said.Stderr, text)
		}
	}
	if t.Failed() {
		return
	}
	for _, r := range all {
		t.Run(r.String(), func(t *testing.T) {
			less := r.without(t, roles)
			applyAs(t, less)
			allowed(t, r.attributes(), false)
			said := s.story(t, env)
			applyAs(t, roles[r.role])
			allowed(t, r.attributes(), true)
			for i := range said {
				if said[i].Exit != full[i].Exit || complains(said[i]) {
					return
				}
			}
			// Without lists every run looks at each object, and says nothing of it.
			if r.verb == "list" && looked(t, said[2]) > looked(t, full[2]) {
				return
			}
			t.Errorf("nobody misses the right to %s", r)
		})
	}
	t.Logf("counts: rights of tidemark rbac: %d, each needed", len(all))
}

// complains says whether a run was told that it may not do something.
func complains(said binary.Result) bool {
	return strings.Contains(said.Stdout+said.Stderr, "forbidden")
}

// grant is one right in a printed Role.
type grant struct {
	role, rule      int
	namespace       string
	group, resource string
	name, verb      string
}

func (g grant) String() string {
	return strings.Join(strings.Fields(g.verb+" "+strings.TrimPrefix(g.group+"/", "/")+g.resource+" "+g.name+" "+g.namespace), " ")
}

func (g grant) attributes() map[string]any {
	resource, sub, _ := strings.Cut(g.resource, "/")
	return map[string]any{"namespace": g.namespace, "group": g.group, "resource": resource, "subresource": sub, "name": g.name, "verb": g.verb}
}

func rules(role map[string]any) []any {
	all, _ := role["rules"].([]any)
	return all
}

func words(rule any, field string) []string {
	var all []string
	list, _ := rule.(map[string]any)[field].([]any)
	for _, word := range list {
		all = append(all, word.(string))
	}
	return all
}

func rightsIn(roles []map[string]any) []grant {
	var all []grant
	for i, role := range roles {
		namespace, _ := role["metadata"].(map[string]any)["namespace"].(string)
		for j, rule := range rules(role) {
			name := ""
			if names := words(rule, "resourceNames"); len(names) > 0 {
				name = names[0]
			}
			for _, resource := range words(rule, "resources") {
				for _, verb := range words(rule, "verbs") {
					all = append(all, grant{i, j, namespace, words(rule, "apiGroups")[0], resource, name, verb})
				}
			}
		}
	}
	return all
}

// unname widens what names the witness, whose name is that of the state's place.
func unname(roles []map[string]any) {
	for _, role := range roles {
		for _, rule := range rules(role) {
			if slices.Contains(words(rule, "resources"), "leases") {
				delete(rule.(map[string]any), "resourceNames")
			}
		}
	}
}

// without gives the Role with one right less: the rest of its rule stands in rules of one right each.
func (g grant) without(t *testing.T, roles []map[string]any) map[string]any {
	t.Helper()
	var role map[string]any
	encoded, err := json.Marshal(roles[g.role])
	if err == nil {
		err = json.Unmarshal(encoded, &role)
	}
	if err != nil {
		t.Fatal(err)
	}
	var kept []any
	for j, rule := range rules(role) {
		for _, resource := range words(rule, "resources") {
			verbs := words(rule, "verbs")
			if j == g.rule && resource == g.resource {
				verbs = slices.DeleteFunc(verbs, func(verb string) bool { return verb == g.verb })
			}
			if len(verbs) == 0 {
				continue
			}
			one := map[string]any{"apiGroups": words(rule, "apiGroups"), "resources": []string{resource}, "verbs": verbs}
			if names := words(rule, "resourceNames"); len(names) > 0 {
				one["resourceNames"] = names
			}
			kept = append(kept, one)
		}
	}
	role["rules"] = kept
	return role
}
