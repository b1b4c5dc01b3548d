package ignore_test

import (
	"strings"
	"testing"

	"tidemark.dev/tidemark/reconcile/ignore"
	"tidemark.dev/tidemark/render/object"
)

func TestRulesFit(t *testing.T) {
	t.Parallel()
	o := deployment(t, "{}").WithMetadata(nil, map[string]string{"note": "x"})
	flux := func(t ignore.Target) ([]ignore.Rule, []ignore.Difference) {
		return []ignore.Rule{{Paths: []string{"/spec"}, Target: t}}, nil
	}
	argo := func(d ignore.Difference) ([]ignore.Rule, []ignore.Difference) {
		d.JSONPointers = []string{"/spec"}
		return nil, []ignore.Difference{d}
	}
	check := func(want bool) func([]ignore.Rule, []ignore.Difference) {
		return func(f []ignore.Rule, a []ignore.Difference) {
			r := rules(t, f, a)
			if got := r.Bear(o); got != want || (r.DigestFor(o) != "") != want || r.Digest() == "" {
				t.Errorf("%+v %+v: bears %v (%q, %q), want %v", f, a, got, r.DigestFor(o), r.Digest(), want)
			}
		}
	}
	fits, not := check(true), check(false)
	fits(flux(ignore.Target{}))
	fits(flux(ignore.Target{Group: "apps", Version: "v1", Kind: "Deploy.*", Name: "web|api", Namespace: "shop", LabelSelector: "tier in (front)", AnnotationSelector: "note"}))
	not(flux(ignore.Target{Kind: "Deploy"}))
	not(flux(ignore.Target{Name: "web|api", Namespace: "sho"}))
	not(flux(ignore.Target{LabelSelector: "tier=back"}))
	not(flux(ignore.Target{AnnotationSelector: "!note"}))
	not(flux(ignore.Target{Group: "batch"}))
	not(flux(ignore.Target{Version: "v2"}))
	fits(argo(ignore.Difference{Kind: "Deployment"}))
	fits(argo(ignore.Difference{Group: "*", Kind: "*", Name: "web", Namespace: "shop"}))
	not(argo(ignore.Difference{Group: "batch", Kind: "*"}))
	not(argo(ignore.Difference{Kind: "Deployment", Name: "api"}))
	not(argo(ignore.Difference{Kind: "Deployment", Namespace: "other"}))
	if r := (ignore.Rules{}); r.Digest() != "" || r.DigestFor(o) != "" || r.Bear(o) {
		t.Error("no rules bear on something")
	}
}

// An object's digest is that of the rules that bear on it, and of no others.
func TestDigestFor(t *testing.T) {
	t.Parallel()
	o := deployment(t, "{}")
	with := func(paths ...string) ignore.Rules {
		return rules(t, []ignore.Rule{{Paths: paths}, {Paths: paths[:1], Target: ignore.Target{Kind: "Other"}}}, nil)
	}
	alone := rules(t, []ignore.Rule{{Paths: []string{"/a"}}}, nil)
	if with("/a").DigestFor(o) != alone.DigestFor(o) || with("/a").Digest() == alone.Digest() || with("/a").DigestFor(o) == with("/b").DigestFor(o) {
		t.Error("the digests do not follow the rules")
	}
	var _ object.Object = o
}

func TestRulesThatMakeNoSense(t *testing.T) {
	t.Parallel()
	_, err := ignore.Compile(
		[]ignore.Rule{{}, {Paths: []string{"spec/replicas", "/"}}, {Paths: []string{"/a"}, Target: ignore.Target{Kind: "("}}, {Paths: []string{"/a"}, Target: ignore.Target{LabelSelector: "a b"}}, {Paths: []string{"/a"}, Target: ignore.Target{AnnotationSelector: "=="}}},
		[]ignore.Difference{{Kind: "X"}, {Kind: "[", JSONPointers: []string{"/a"}}, {Kind: "X", JQPathExpressions: []string{".a", ".a["}}, {Kind: "X", JQPathExpressions: []string{".a) | (.b", "nosuch", "input", "import \"a\" as a; .x"}}},
	)
	for _, want := range []string{
		"ignore[0].paths: ", `ignore[1].paths[0]: "spec/replicas" is not a JSON pointer`, "ignore[1].paths[1]: ", "ignore[2].target.kind: ", "ignore[3].target.labelSelector: ", "ignore[4].target.annotationSelector: ",
		"ignoreDifferences[0]: names no field", "ignoreDifferences[1].kind: ", `ignoreDifferences[2].jqPathExpressions[1]: ".a[" is not jq`,
		"ignoreDifferences[3].jqPathExpressions[0]: ", "ignoreDifferences[3].jqPathExpressions[1]: ", "ignoreDifferences[3].jqPathExpressions[3]: ",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}
