package plan_test

import (
	"errors"
	"strings"
	"testing"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// annotatedManifest gives a desired object of ours with annotations, "key=value" each.
func annotatedManifest(mark string, annotations ...string) object.Object {
	values := map[string]string{}
	for _, a := range annotations {
		key, value, _ := strings.Cut(a, "=")
		values[key] = value
	}
	return manifest(id(mark), nil).WithMetadata(nil, values)
}

const (
	inWave  = plan.AnnotationWave + "="
	depends = plan.AnnotationDependsOn + "="
)

// levelled gives the names of a plan's changes, levels parted by "|".
func levelled(p plan.Plan) string {
	var out strings.Builder
	for i, c := range p.Changes {
		if i > 0 && plan.SameLevel(p.Changes[i-1], c) {
			out.WriteString(" ")
		} else if i > 0 {
			out.WriteString(" | ")
		}
		out.WriteString(c.ID.Name)
	}
	return out.String()
}

func TestMakeOrdersByWaveStepAndPhase(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		set  []object.Object
		want string
	}{
		{"waves before phases, negative ones first", []object.Object{
			annotatedManifest("/ConfigMap/shop/last", inWave+"2"),
			annotatedManifest("apps/Deployment/shop/early", inWave+"-1"),
			annotatedManifest("/ConfigMap/shop/plain"),
			annotatedManifest("apps/Deployment/shop/plain2"),
			annotatedManifest("/Namespace//later", inWave+"1"),
		}, "early | plain | plain2 | later | last"},
		{"a namespace comes with what lives in it first", []object.Object{
			annotatedManifest("/ConfigMap/shop/early", inWave+"-3"),
			annotatedManifest("/ConfigMap/shop/plain"),
			annotatedManifest("/Namespace//shop"),
		}, "shop | early | plain"},
		{"what depends comes a step later, whatever its phase", []object.Object{
			annotatedManifest("/ConfigMap/shop/after", depends+"apps/namespaces/shop/Deployment/web"),
			annotatedManifest("/ConfigMap/shop/before"),
			annotatedManifest("apps/Deployment/shop/web"),
			annotatedManifest("apps/Deployment/shop/end", depends+"/namespaces/shop/ConfigMap/after, apps/namespaces/shop/Deployment/web"),
		}, "before | web | after | end"},
		{"a dependency in an earlier wave takes no step", []object.Object{
			annotatedManifest("/ConfigMap/shop/a", depends+"/namespaces/shop/ConfigMap/z", inWave+"1"),
			annotatedManifest("/ConfigMap/shop/b", inWave+"1"),
			annotatedManifest("/ConfigMap/shop/z"),
		}, "z | a b"},
		{"what lives in a namespace that waits, waits", []object.Object{
			annotatedManifest("/ConfigMap/shop/inside"),
			annotatedManifest("/ConfigMap/base/outside"),
			annotatedManifest("/Namespace//shop", depends+"/namespaces/base/ConfigMap/outside"),
		}, "outside | shop | inside"},
		{"no annotation, no step", []object.Object{
			annotatedManifest("/ConfigMap/shop/a"), annotatedManifest("/ConfigMap/shop/b"), annotatedManifest("/Service/shop/c"),
		}, "a b | c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := input()
			for _, o := range c.set {
				wantObject(in, o, "d")
				gone(in, o.ID)
			}
			if err := in.CheckOrder(); err != nil {
				t.Fatal(err)
			}
			if got := levelled(plan.Make(*in)); got != c.want {
				t.Errorf("levels = %q, want %q", got, c.want)
			}
		})
	}
}

func TestMakePrunesInReverse(t *testing.T) {
	t.Parallel()
	in := input()
	want(in, one, "d")
	there(in, one, certain)
	own(in, one, "d")
	for mark, annotation := range map[string]string{
		"/ConfigMap/shop/first": inWave + "-2", "/ConfigMap/shop/middle": "", "/ConfigMap/shop/last": inWave + "3",
		"/ConfigMap/shop/base": inWave + "5", "/ConfigMap/shop/upon": inWave + "5",
	} {
		key, value, _ := strings.Cut(annotation, "=")
		own(in, id(mark), "d")
		there(in, id(mark), annotated(key, value))
	}
	there(in, id("/ConfigMap/shop/upon"), annotated(plan.AnnotationWave, "5"), annotated(plan.AnnotationDependsOn, "/namespaces/shop/ConfigMap/base"))
	if got, want := levelled(plan.Make(*in)), "upon | base | last | middle | first"; got != want {
		t.Errorf("prunes = %q, want %q", got, want)
	}
}

func TestCheckOrder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		set  []object.Object
		edit func(*plan.Input)
		want string
	}{
		{"a circle is printed", []object.Object{
			annotatedManifest("/ConfigMap/shop/a", depends+"/namespaces/shop/ConfigMap/b"),
			annotatedManifest("/ConfigMap/shop/b", depends+"/namespaces/shop/ConfigMap/c"),
			annotatedManifest("/ConfigMap/shop/c", depends+"/namespaces/shop/ConfigMap/a"),
			annotatedManifest("/ConfigMap/shop/d", depends+"/namespaces/shop/ConfigMap/a"),
		}, nil, "circle: ConfigMap shop/a → ConfigMap shop/b → ConfigMap shop/c → ConfigMap shop/a"},
		{"a circle of one", []object.Object{
			annotatedManifest("/ConfigMap/shop/a", depends+"/namespaces/shop/ConfigMap/a"),
		}, nil, "circle: ConfigMap shop/a → ConfigMap shop/a"},
		{"a circle by what lives in a namespace", []object.Object{
			annotatedManifest("/Namespace//shop", depends+"/namespaces/shop/ConfigMap/a"),
			annotatedManifest("/ConfigMap/shop/a"),
		}, nil, "circle: Namespace shop → ConfigMap shop/a → Namespace shop"},
		{
			"nobody's",
			[]object.Object{annotatedManifest("/ConfigMap/shop/a", depends+"apps/namespaces/x/Deployment/y")},
			nil,
			"a.yaml: ConfigMap shop/a depends on Deployment.apps x/y, which is in no app of this ledger",
		},
		{
			"perhaps another app's",
			[]object.Object{annotatedManifest("/ConfigMap/shop/a", depends+"/Namespace/y")},
			func(in *plan.Input) { in.Others.Unknown = []string{"base"} }, "whether it is in base is not known",
		},
		{
			"another app wants it",
			[]object.Object{annotatedManifest("/ConfigMap/shop/a", depends+"/Namespace/y")},
			func(in *plan.Input) { in.Others.Wants[id("/Namespace//y")] = "base" }, "",
		},
		{
			"another app owns it",
			[]object.Object{annotatedManifest("/ConfigMap/shop/a", depends+"/Namespace/y")},
			func(in *plan.Input) { in.Others.Owns[id("/Namespace//y")] = plan.Holder{App: "base"} }, "",
		},
		{
			"it left",
			[]object.Object{annotatedManifest("/ConfigMap/shop/a", depends+"/Namespace/y")},
			func(in *plan.Input) { own(in, id("/Namespace//y"), "d") }, "which left the repository",
		},
		{"against the waves", []object.Object{
			annotatedManifest("/ConfigMap/shop/a", depends+"/namespaces/shop/ConfigMap/b"),
			annotatedManifest("/ConfigMap/shop/b", inWave+"3"),
		}, nil, "ConfigMap shop/a depends on ConfigMap shop/b, whose sync wave 3 comes after its own, 0"},
		{"not a reference", []object.Object{annotatedManifest("/ConfigMap/shop/a", depends+"ConfigMap/b")}, nil, `"ConfigMap/b" is neither`},
		{"not a wave", []object.Object{annotatedManifest("/ConfigMap/shop/a", inWave+"first")}, nil, `argocd.argoproj.io/sync-wave: "first" is not a whole number`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := input()
			for _, o := range c.set {
				wantObject(in, o, "d")
				gone(in, o.ID)
			}
			if c.edit != nil {
				c.edit(in)
			}
			err := in.CheckOrder()
			switch {
			case c.want == "" && err != nil:
				t.Errorf("CheckOrder: %v, want none", err)
			case c.want != "" && (!errors.Is(err, plan.ErrOrder) || !strings.Contains(err.Error(), c.want)):
				t.Errorf("CheckOrder: %v, want ErrOrder with %q", err, c.want)
			}
		})
	}
}
