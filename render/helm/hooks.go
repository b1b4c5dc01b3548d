package helm

import (
	"fmt"
	"strings"

	"tidemark.dev/tidemark/render/object"
)

// hookAnnotation makes an object a hook: https://helm.sh/docs/topics/charts_hooks/.
const hookAnnotation = "helm.sh/hook"

// fate is what becomes of an object because of its hook annotation.
type fate int

const (
	stays fate = iota
	isTest
	isHook
)

// judge looks at the hook annotation of an object. Tests are run by hand, so
// they are no part of an app. A CRD that Helm 2 wanted installed as a hook is a
// CRD as any other.
func judge(o object.Object) fate {
	events := strings.Split(o.Annotation(hookAnnotation), ",")
	tests, others := 0, 0
	for _, event := range events {
		switch event = strings.TrimSpace(event); {
		case event == "":
		case event == "crd-install" && o.ID.Kind == "CustomResourceDefinition":
		case event == "test", event == "test-success", event == "test-failure":
			tests++
		default:
			others++
		}
	}
	switch {
	case others > 0:
		return isHook
	case tests > 0:
		return isTest
	default:
		return stays
	}
}

// settle leaves hooks out of the objects, or refuses them.
func settle(objects []object.Object, how Hooks) (kept []object.Object, skipped []string, err error) {
	var refused []string
	for _, o := range objects {
		switch judge(o) {
		case stays:
			kept = append(kept, o)
		case isTest:
		case isHook:
			name := fmt.Sprintf("%s in %s (%s)", o.ID, o.Origin, o.Annotation(hookAnnotation))
			switch how {
			case HooksRun:
				kept = append(kept, o)
			case HooksSkip:
				skipped = append(skipped, "left out the Helm hook "+name)
			case HooksRefuse:
				refused = append(refused, name)
			}
		}
	}
	if len(refused) > 0 {
		return nil, nil, fmt.Errorf("the chart has Helm hooks, which are not run: %s; set hooks: skip to leave them out", strings.Join(refused, "; "))
	}
	return kept, skipped, nil
}
