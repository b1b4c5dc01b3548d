package history

import (
	"strings"

	"tidemark.dev/tidemark/render/object"
)

// short are the short names of kubectl for what apps are made of.
var short = map[string]string{ //nolint:gochecknoglobals // a table
	"cm": "configmap", "crd": "customresourcedefinition", "cj": "cronjob", "deploy": "deployment", "ds": "daemonset",
	"ep": "endpoints", "hpa": "horizontalpodautoscaler", "ing": "ingress", "netpol": "networkpolicy", "ns": "namespace",
	"pc": "priorityclass", "pdb": "poddisruptionbudget", "po": "pod", "pv": "persistentvolume", "pvc": "persistentvolumeclaim",
	"quota": "resourcequota", "rs": "replicaset", "sa": "serviceaccount", "sc": "storageclass", "sts": "statefulset", "svc": "service",
}

// String gives the name as it was asked for.
func (n Name) String() string {
	if n.Namespace == "" {
		return n.Kind + "/" + n.Name
	}
	return n.Kind + "/" + n.Name + " in " + n.Namespace
}

// names says whether an object goes by the name.
func (n Name) names(id object.ID) bool {
	if n.Name != id.Name || n.Namespace != "" && id.Namespace != "" && n.Namespace != id.Namespace {
		return false
	}
	kind, group, grouped := strings.Cut(strings.ToLower(n.Kind), ".")
	if grouped && group != strings.ToLower(id.Group) {
		return false
	}
	if long, known := short[kind]; known {
		kind = long
	}
	singular := strings.ToLower(id.Kind)
	return kind == singular || kind == plural(singular)
}

// plural is how most kinds are called as a resource.
func plural(kind string) string {
	switch {
	case strings.HasSuffix(kind, "s"), strings.HasSuffix(kind, "x"), strings.HasSuffix(kind, "ch"):
		return kind + "es"
	case strings.HasSuffix(kind, "y") && !strings.HasSuffix(kind, "ey") && !strings.HasSuffix(kind, "ay"):
		return strings.TrimSuffix(kind, "y") + "ies"
	}
	return kind + "s"
}
