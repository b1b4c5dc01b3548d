package plan

import (
	"fmt"
	"strconv"
	"strings"

	"tidemark.dev/tidemark/render/object"
)

// The annotations that say in which order objects are applied.
const (
	// AnnotationWave is Argo CD's: whole numbers, lower ones first, 0 when there
	// is none (https://argo-cd.readthedocs.io/en/stable/user-guide/sync-waves/).
	AnnotationWave = "argocd.argoproj.io/sync-wave"
	// AnnotationDependsOn is cli-utils': references separated by commas, each
	// GROUP/namespaces/NAMESPACE/KIND/NAME or, for a cluster-scoped object,
	// GROUP/KIND/NAME; the core group is empty.
	AnnotationDependsOn = "config.kubernetes.io/depends-on"
)

// DependsOn gives the objects that o says it depends on, in the order of its
// annotation.
func DependsOn(o object.Object) ([]object.ID, error) {
	return references(o.Annotation(AnnotationDependsOn))
}

func references(text string) ([]object.ID, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var ids []object.ID
	for reference := range strings.SplitSeq(text, ",") {
		reference = strings.TrimSpace(reference)
		part := strings.Split(reference, "/")
		var id object.ID
		switch {
		case len(part) == 5 && part[1] == "namespaces" && part[2] != "":
			id = object.ID{Group: part[0], Namespace: part[2], Kind: part[3], Name: part[4]}
		case len(part) == 3:
			id = object.ID{Group: part[0], Kind: part[1], Name: part[2]}
		}
		if id.Kind == "" || id.Name == "" {
			return nil, fmt.Errorf("%s: %q is neither GROUP/namespaces/NAMESPACE/KIND/NAME nor GROUP/KIND/NAME", AnnotationDependsOn, reference)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// wave reads a sync wave.
func wave(text string) (int, error) {
	if text = strings.TrimSpace(text); text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%s: %q is not a whole number", AnnotationWave, text)
	}
	return n, nil
}
