package reconcile

import (
	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/render/object"
)

// use is what runs do with the objects of one kind in one namespace. It is the one
// table of the rights that this needs: what a doctor checks, and Rights grants.
type use struct {
	pruned, watched bool
	// names are those of the objects.
	names []string
}

// verbs are the rights that a use needs.
func (u use) verbs() []string {
	// An apply to an absent object is a create, and a patch too.
	verbs := []string{"get", "list", "create", "patch"}
	if u.pruned {
		verbs = append(verbs, "delete")
	}
	if u.watched {
		verbs = append(verbs, "watch")
	}
	return verbs
}

// isWide says whether runs use a right over all namespaces first, and then over
// those in which objects are.
func isWide(verb string) bool { return verb == "list" || verb == "watch" }

// isNamed says whether a right can be granted for single names: what selects
// objects by their label names none, and what makes one has none yet.
//
// https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources
func isNamed(verb string) bool { return verb == "get" || verb == "patch" || verb == "delete" }

// usesOf gives what runs of these apps do, by kind and namespace.
func usesOf(apps []*app) map[place]use {
	uses := map[place]use{}
	for _, a := range apps {
		for _, id := range wanted(a) {
			at := place{id.GroupKind(), id.Namespace}
			u := uses[at]
			_, wants := a.want.Get(id)
			u.pruned = u.pruned || !a.Rules.KeepAll || a.replaces(id)
			u.watched = u.watched || a.Wait.All && wants && !a.Wait.Checks.Immediate(id.GroupKind())
			u.names = append(u.names, id.Name)
			uses[at] = u
		}
		for _, h := range a.hooks {
			// Hooks are deleted and made anew, and their end is watched for.
			id := h.Object.ID
			at := place{id.GroupKind(), id.Namespace}
			u := uses[at]
			name := id.Name
			if h.Prefix != "" {
				name = "" // another one for each set: any
			}
			u.pruned, u.watched, u.names = true, true, append(u.names, name)
			uses[at] = u
		}
	}
	return uses
}

// replaces says whether an object may be deleted and made again.
func (a *app) replaces(id object.ID) bool {
	o, wanted := a.want.Get(id)
	return wanted && a.Rules.MayReplace(o)
}

// toIdentify is what naming the cluster needs.
func toIdentify() apply.Permission {
	return apply.Permission{Verb: "get", Kind: object.GroupKind{Kind: "Namespace"}, Name: "kube-system"}
}

// toTestify is what reading and writing the witness needs, and which object it is.
func (r *runner) toTestify() ([]apply.Permission, object.ID) {
	placed, is := r.job.Witness.(interface{ ID() object.ID })
	if !is {
		return nil, object.ID{}
	}
	id := placed.ID()
	return []apply.Permission{
		{Verb: "get", Kind: id.GroupKind(), Namespace: id.Namespace, Name: id.Name},
		{Verb: "create", Kind: id.GroupKind(), Namespace: id.Namespace},
		{Verb: "update", Kind: id.GroupKind(), Namespace: id.Namespace, Name: id.Name},
	}, id
}
