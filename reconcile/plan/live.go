package plan

import (
	"slices"
	"strings"

	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// Meta is what a metadata request tells of one live object.
type Meta struct {
	UID             string
	ResourceVersion string
	Generation      int64
	Labels          map[string]string
	Annotations     map[string]string
	Finalizers      []string
	// Controller names the owner reference with controller: true, as
	// "Kind name"; empty when there is none.
	Controller string
	// Terminating: a deletionTimestamp is set.
	Terminating bool
	// Managers are the field managers, sorted, each once.
	Managers []string
	// ClientSideApplied: kubectl's client-side apply still owns fields, which
	// would outlive a server-side apply that drops them; apply.Cluster's Migrate
	// hands them over to us.
	ClientSideApplied bool
	// Owned is the digest of what the server has noted as ours: the managed
	// fields entry of our own manager. It is empty when there is no such entry.
	// While it stands, no field that we applied was changed or removed by
	// anybody. See reconcile/decisions/0001.
	Owned string
}

// State says whether an object exists.
type State int

// The states of an object.
const (
	// Unknown: not looked at, or the look gave no proof: a failing discovery, a
	// forbidden or broken list. Absence never follows from it.
	Unknown State = iota
	// Absent: the server answered 404 while discovery of its group is complete.
	Absent
	Present
	Terminating
)

// Observed is what is known of one object of the cluster.
type Observed struct {
	State State
	Meta
	// Why says what stands in the way of knowing, when State is Unknown.
	Why string
	// NoKind: the server does not serve the object's kind, and discovery of
	// its group is complete.
	NoKind bool
	// Certain: UID and content are as last observed by this ledger, or only
	// status noise moved the resourceVersion.
	Certain bool
	// Content is the whole live object, when it was looked at closely.
	Content map[string]any
	// DryRun is the answer to applying the desired object as a dry run.
	DryRun *DryRun
	// Shared is the desired object as it is applied over the live one, without what
	// is left to others; nil is all of it.
	Shared *object.Object
}

// DryRun is the server's answer to a server-side-apply dry run.
type DryRun struct {
	// Content is the object as it would be; nil for one that does not exist.
	Content map[string]any
	// Conflicts lists "manager: field" of those who would lose a field to us.
	Conflicts []string
	// Rejected is the server's reason when it refused the object.
	Rejected string
	// Immutable lists the fields that cannot be changed, when the server had
	// nothing else against the object.
	Immutable []string
	// NotValidated is the reason why the server could not tell, such as a
	// webhook that cannot do dry runs or a namespace that is in the same plan.
	NotValidated string
}

// Live holds what was observed, per ID; an ID that is missing is Unknown.
type Live map[object.ID]Observed

// Owner says whose an object is.
type Owner int

// The owners of a live object.
const (
	// Free: nobody's marks.
	Free Owner = iota
	// Ours: this ledger's label and an annotation that names this very object,
	// and no controller.
	Ours
	// Copied: it carries this ledger's label, but does not name itself, or a
	// controller made it: a copy of an object of ours.
	Copied
	// Foreign: another tool's, another ledger's or a controller's marks.
	Foreign
)

// OwnerOf tells whose the object id with metadata m is, for the ledger whose
// label value is given. With Foreign it names the tool ("helm", "flux",
// "argocd", "kapp", "applyset", "bootstrap", "addon-manager", "controller", or
// "tidemark:LEDGER") and the mark that says so.
func OwnerOf(id object.ID, m Meta, ledger string) (owner Owner, tool, mark string) {
	if own := m.Labels[object.LabelLedger]; own != "" {
		names := m.Annotations[object.AnnotationID] == id.Mark()
		switch {
		case own == ledger && names && m.Controller == "":
			return Ours, "", ""
		case own == ledger:
			return Copied, "", ""
		case names:
			return Foreign, "tidemark:" + own, "label " + object.LabelLedger + "=" + own
		}
	}
	if m.Controller != "" {
		return Foreign, "controller", "controlled by " + m.Controller
	}
	for _, f := range foreignMarks {
		values := m.Labels
		if f.annotation {
			values = m.Annotations
		}
		if value, ok := values[f.key]; ok && (f.value == "" || f.value == value) {
			return Foreign, f.tool, f.key + "=" + value
		}
	}
	for _, manager := range m.Managers {
		if f, ok := foreignManagers[manager]; ok && (f.own == "" || !strings.HasSuffix("."+id.Group, "."+f.own)) {
			return Foreign, f.tool, "field manager " + manager
		}
	}
	return Free, "", ""
}

// OwnerFor is OwnerOf for an app with an inventory: the very object that the
// inventory holds is ours though somebody took our marks off it, or changed
// them; also when it goes by another ID now. A controller's object is not.
func OwnerFor(owned state.Inventory, id object.ID, m Meta, ledger string) (owner Owner, tool, mark string) {
	owner, tool, mark = OwnerOf(id, m, ledger)
	if owner != Free && owner != Copied || m.Controller != "" || m.UID == "" {
		return owner, tool, mark
	}
	if member, _ := owned.Lookup(id); member.UID == m.UID {
		return Ours, "", ""
	}
	if _, is := renamed(owned, id, m); is && owner == Copied {
		return Ours, "", ""
	}
	return owner, tool, mark
}

// renamed gives the member by which the inventory knows a live object that has
// another ID now: its kind is served in two API groups, or moved from one to the
// other, as Ingress did.
func renamed(owned state.Inventory, id object.ID, m Meta) (state.Member, bool) {
	for _, member := range owned.Members {
		if member.UID != "" && member.UID == m.UID && member.ID != id && member.ID.Mark() == m.Annotations[object.AnnotationID] {
			return member, true
		}
	}
	return state.Member{}, false
}

// The marks by which other tools know their objects (DESIGN §7, Adoption).
// app.kubernetes.io/managed-by and …/instance are not marks: nearly every
// chart carries them.
var foreignMarks = []struct { //nolint:gochecknoglobals // a table
	tool, key, value string
	annotation       bool
}{
	{tool: "helm", key: "meta.helm.sh/release-name", annotation: true},
	{tool: "argocd", key: "argocd.argoproj.io/tracking-id", annotation: true},
	{tool: "flux", key: "kustomize.toolkit.fluxcd.io/name"},
	{tool: "flux", key: "helm.toolkit.fluxcd.io/name"},
	{tool: "kapp", key: "kapp.k14s.io/app"},
	{tool: "applyset", key: "applyset.kubernetes.io/part-of"},
	{tool: "bootstrap", key: "kubernetes.io/bootstrapping"},
	{tool: "addon-manager", key: "addonmanager.kubernetes.io/mode"},
}

// The field managers of other tools. A tool's controller also writes into its own
// kinds, whoever owns those objects: it reports there what it does. Such a group
// is own.
var foreignManagers = map[string]struct{ tool, own string }{ //nolint:gochecknoglobals // a table
	"kustomize-controller":          {tool: "flux", own: "toolkit.fluxcd.io"},
	"helm-controller":               {tool: "flux", own: "toolkit.fluxcd.io"},
	"helm":                          {tool: "helm"},
	"argocd-controller":             {tool: "argocd", own: "argoproj.io"},
	"argocd-application-controller": {tool: "argocd", own: "argoproj.io"},
	"kapp-server-side-apply":        {tool: "kapp"},
	"kubectl-applyset":              {tool: "applyset"},
}

// Tools lists the names that OwnerOf gives and an app's adopt list may hold,
// sorted; "tidemark:LEDGER" is the further one.
func Tools() []string {
	var tools []string
	for _, f := range foreignMarks {
		tools = append(tools, f.tool)
	}
	slices.Sort(tools)
	return slices.Compact(tools)
}
