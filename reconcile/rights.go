package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// Rule is a rule of Kubernetes' access control: of a Role in its Namespace, or of a
// ClusterRole where that is empty.
type Rule struct {
	Namespace string
	// Groups, Resources, Names and URLs are what Verbs may be done to. No Names are
	// all; either URLs or the others are given.
	Groups, Resources, Names, URLs []string
	Verbs                          []string
}

// Rights are the least that runs of a job need in the cluster.
type Rights struct {
	// Rules are sorted by namespace, those of the whole cluster first.
	Rules []Rule
	// Missing are the namespaces of Rules that do not exist yet.
	Missing []string
	// Warnings tell what could not be taken into account.
	Warnings []string
}

// RightsOf gives the rights that runs of a job need, and those beside that whoever
// starts it knows of. It fetches and renders every app as a run does, and writes
// nothing. An app that cannot be rendered is an error, for half of the rights are
// none.
func RightsOf(ctx context.Context, job Job, unopened Unopened, beside func() []apply.Permission) (Rights, error) {
	d := &doctor{runner: start(job), ledger: &ledger{}}
	d.job.Mode = PlanOnly
	if d.job.Cluster == nil {
		return Rights{}, unopened.Cluster
	}
	var rights Rights
	if d.job.Ledger == nil {
		rights.Warnings = append(rights.Warnings, fmt.Sprintf("what is to be pruned is not taken into account: %v", unopened.Ledger))
	} else {
		d.state(ctx)
	}
	kinds, err := d.job.Cluster.Discover(ctx, true)
	if err != nil {
		return Rights{}, fmt.Errorf("discover: %w", within(ctx, err))
	}
	d.ledger.kinds, d.reached = kinds, true
	apps := d.configuration(ctx)
	d.apps(ctx, apps)
	for _, check := range d.checks {
		if check.Health == Failed && check.Part == "state" {
			rights.Warnings = append(rights.Warnings, "what is to be pruned is not taken into account: "+check.Message)
		} else if check.Health == Failed {
			err = errors.Join(err, check.Err)
		}
	}
	if err != nil {
		return Rights{}, err
	}
	g := grants{kinds: kinds, defined: map[object.GroupKind]string{}, given: map[right]bool{}}
	g.define(apps)
	for _, p := range append(beside(), toIdentify()) {
		g.permission(p)
	}
	witness, _ := d.toTestify()
	for _, p := range witness {
		g.permission(p)
	}
	for at, of := range usesOf(apps) {
		g.use(at, of)
	}
	for _, a := range apps {
		seeing, telling := a.lookers(kinds)
		for _, p := range slices.Concat(seeing, telling) {
			g.permission(p)
		}
		for _, o := range a.want.Objects() {
			g.passOn(o)
		}
		for _, h := range a.hooks {
			g.passOn(h.Object)
		}
	}
	if len(g.unknown) > 0 {
		slices.Sort(g.unknown)
		return Rights{}, fmt.Errorf("%w: %s, and no app defines it", apply.ErrNoKind, strings.Join(slices.Compact(g.unknown), ", "))
	}
	rights.Rules = g.rules()
	rights.Missing, err = d.missing(ctx, rights.Rules)
	return rights, err
}

// missing gives the namespaces of rules that do not exist.
func (d *doctor) missing(ctx context.Context, rules []Rule) ([]string, error) {
	var missing []string
	for i, rule := range rules {
		if rule.Namespace == "" || i > 0 && rules[i-1].Namespace == rule.Namespace {
			continue
		}
		_, err := d.job.Cluster.Metadata(ctx, object.ID{Kind: "Namespace", Name: rule.Namespace}, "")
		switch {
		case errors.Is(err, apply.ErrNotFound):
			missing = append(missing, rule.Namespace)
		case err != nil && !errors.Is(err, apply.ErrForbidden):
			return nil, fmt.Errorf("look for namespaces: %w", within(ctx, err))
		}
	}
	return missing, nil
}

// right is one verb on one resource, by one name or all, in one namespace or the
// cluster; or on a URL.
type right struct{ namespace, group, resource, name, url, verb string }

// grants are rights as they are gathered.
type grants struct {
	kinds   plan.Kinds
	defined map[object.GroupKind]string // resources that the apps themselves define
	given   map[right]bool
	unknown []string
}

// define learns the resources of which some app brings the definition.
func (g *grants) define(apps []*app) {
	for _, a := range apps {
		for _, o := range a.want.Objects() {
			if kind, _, defines := plan.Defines(o); defines {
				g.defined[kind] = textAt(mapAt(o.Content(), "spec", "names"), "plural")
			}
		}
	}
}

func (g *grants) permission(p apply.Permission) {
	resource := cmp.Or(g.kinds.Served[p.Kind].Resource, g.defined[p.Kind])
	if resource == "" {
		g.unknown = append(g.unknown, p.Kind.String())
		return
	}
	if p.Subresource != "" {
		resource += "/" + p.Subresource
	}
	g.given[right{namespace: p.Namespace, group: p.Kind.Group, resource: resource, name: p.Name, verb: p.Verb}] = true
}

// use grants what a use needs. Objects of the whole cluster are named, where they
// can be: nobody else's are touched.
func (g *grants) use(at place, of use) {
	for _, verb := range of.verbs() {
		if at.namespace != "" || !isNamed(verb) {
			g.permission(apply.Permission{Verb: verb, Kind: at.kind, Namespace: at.namespace})
			continue
		}
		for _, name := range of.names {
			g.permission(apply.Permission{Verb: verb, Kind: at.kind, Name: name})
		}
	}
}

const rbacGroup = "rbac.authorization.k8s.io"

// passOn grants what an app's own Roles grant, and the binding of those that are not
// its own: nobody may give what he does not have.
//
// https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
func (g *grants) passOn(o object.Object) {
	if o.ID.Group != rbacGroup {
		return
	}
	switch o.ID.Kind {
	case "Role", "ClusterRole":
		for _, rule := range listAt(o.Content(), "rules") {
			g.hold(o.ID.Namespace, rule)
		}
	case "RoleBinding", "ClusterRoleBinding":
		of := mapAt(o.Content(), "roleRef")
		p := apply.Permission{Verb: "bind", Kind: object.GroupKind{Group: rbacGroup, Kind: textAt(of, "kind")}, Namespace: o.ID.Namespace, Name: textAt(of, "name")}
		g.permission(p)
	}
}

func (g *grants) hold(namespace string, rule map[string]any) {
	for _, verb := range texts(rule, "verbs") {
		for _, url := range texts(rule, "nonResourceURLs") {
			g.given[right{url: url, verb: verb}] = true
		}
		names := texts(rule, "resourceNames")
		if len(names) == 0 {
			names = []string{""}
		}
		for _, group := range texts(rule, "apiGroups") {
			for _, resource := range texts(rule, "resources") {
				for _, name := range names {
					g.given[right{namespace: namespace, group: group, resource: resource, name: name, verb: verb}] = true
				}
			}
		}
	}
}

func texts(content map[string]any, field string) []string {
	list, _ := content[field].([]any)
	var all []string
	for _, element := range list {
		if text, is := element.(string); is {
			all = append(all, text)
		}
	}
	return all
}

// rules puts rights together that differ in one thing only: first the names, then
// the verbs, then the resources.
func (g *grants) rules() []Rule {
	for r := range g.given {
		all := r
		if all.name = ""; r.name != "" && g.given[all] {
			delete(g.given, r) // all names are granted anyway
		}
	}
	names := map[right][]string{}
	for r := range g.given {
		key := r
		key.name = ""
		names[key] = append(names[key], r.name)
	}
	type named struct {
		right
		names string
	}
	verbs := map[named][]string{}
	for r, of := range names {
		slices.Sort(of)
		key := named{r, strings.Join(of, " ")}
		verb := key.verb
		key.verb = ""
		verbs[key] = append(verbs[key], verb)
	}
	type alike struct{ namespace, group, names, verbs, urls string }
	resources := map[alike][]string{}
	for of, can := range verbs {
		slices.Sort(can)
		key := alike{of.namespace, of.group, of.names, strings.Join(can, " "), of.url}
		resources[key] = append(resources[key], of.resource)
	}
	var rules []Rule
	for key, of := range resources {
		rule := Rule{Namespace: key.namespace, Verbs: strings.Fields(key.verbs)}
		if key.urls != "" {
			rule.URLs = []string{key.urls}
		} else {
			slices.Sort(of)
			rule.Groups, rule.Resources, rule.Names = []string{key.group}, of, strings.Fields(key.names)
		}
		rules = append(rules, rule)
	}
	slices.SortFunc(rules, func(a, b Rule) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), slices.Compare(a.Groups, b.Groups), slices.Compare(a.Resources, b.Resources),
			slices.Compare(a.URLs, b.URLs), slices.Compare(a.Names, b.Names), slices.Compare(a.Verbs, b.Verbs))
	})
	return rules
}
