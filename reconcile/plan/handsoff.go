package plan

import "tidemark.dev/tidemark/render/object"

// The annotations (or labels) of Flux by which a desired object says that it is not
// applied, or only made. Flux's ssa: Merge is what an apply always does here, and
// Argo CD's ServerSideApply and RespectIgnoreDifferences need not be said.
const (
	fluxApply     = "kustomize.toolkit.fluxcd.io/ssa"
	fluxReconcile = "kustomize.toolkit.fluxcd.io/reconcile"
	fluxDrift     = "helm.toolkit.fluxcd.io/driftDetection"
)

// HandsOff says whether a desired object is never applied.
func HandsOff(o object.Object) bool {
	return asks(o, fluxApply, "Ignore") || asks(o, fluxReconcile, "disabled")
}

// handsOff leaves an object as it is when it says so, and says whether it does.
func (p *Plan) handsOff(in Input, o object.Object) bool {
	present := in.Live[o.ID].State == Present
	if !HandsOff(o) && !(present && asks(o, fluxApply, "IfNotPresent")) {
		return false
	}
	if _, owned := in.Owned.Lookup(o.ID); owned && present {
		p.Unchanged++
	}
	return true
}

func asks(o object.Object, key, value string) bool {
	return says(Meta{Annotations: map[string]string{key: o.Annotation(key)}, Labels: map[string]string{key: o.Label(key)}}, key, value)
}
