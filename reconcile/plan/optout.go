package plan

import "strings"

// The annotations (and, for Flux, labels) by which people already keep objects from being pruned
// (DESIGN §7, Opt-outs). They are read from the live object, since it left the
// repository.
var optOuts = []struct{ key, value string }{ //nolint:gochecknoglobals // a table
	{"tidemark.dev/prune", "disabled"},
	{"kustomize.toolkit.fluxcd.io/prune", "disabled"},
	{"argocd.argoproj.io/sync-options", "Prune=false"},
	{"helm.sh/resource-policy", "keep"},
	{"kustomize.toolkit.fluxcd.io/ssa", "Ignore"},
	{"cli-utils.sigs.k8s.io/on-remove", "keep"},
	{"kapp.k14s.io/delete-strategy", "orphan"},
	{"client.lifecycle.config.k8s.io/deletion", "detach"},
}

// optedOut gives what keeps an object from being pruned, or "". Annotations that
// hold several options separate them by commas. Each is looked for in the labels
// too, as Flux does.
func optedOut(m Meta) string {
	for _, out := range optOuts {
		if says(m, out.key, out.value) {
			return out.key + ": " + out.value
		}
	}
	return ""
}

// asksFirst says whether an object is pruned only with approval, in the words of
// Argo CD.
func asksFirst(m Meta) bool { return says(m, "argocd.argoproj.io/sync-options", "Prune=confirm") }

func says(m Meta, key, value string) bool {
	for option := range strings.SplitSeq(m.Annotations[key]+","+m.Labels[key], ",") {
		if strings.EqualFold(strings.TrimSpace(option), value) {
			return true
		}
	}
	return false
}
