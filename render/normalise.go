package render

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"tidemark.dev/tidemark/render/object"
)

const defaultNamespace = "default"

// normal is a list of normalised objects.
type normal struct {
	objects  []object.Object
	warnings []string
	renamed  map[object.ID]object.ID
}

// normalise makes the objects of an engine into what the cluster should hold:
// see the package's documentation.
func normalise(objects []object.Object, request Request) (normal, error) {
	n := normal{renamed: map[object.ID]object.ID{}}
	scope := scopes(objects, request.Scope)
	var errs []error
	for _, o := range objects {
		if err := checkMarks(o); err != nil {
			errs = append(errs, err)
			continue
		}
		written := o.ID
		o = n.withoutServerFields(o)
		o = n.inScope(o, scope, request.Namespace)
		n.renamed[written] = o.ID
		n.objects = append(n.objects, o)
	}
	return n, errors.Join(errs...)
}

// rename gives the varying fields by the IDs that the objects have now.
func (n normal) rename(varying map[object.ID][]string) map[object.ID][]string {
	if len(varying) == 0 {
		return nil
	}
	renamed := make(map[object.ID][]string, len(varying))
	for id, fields := range varying {
		if now, ok := n.renamed[id]; ok {
			id = now
		}
		renamed[id] = fields
	}
	return renamed
}

func (n *normal) warn(o object.Object, format string, args ...any) {
	n.warnings = append(n.warnings, fmt.Sprintf("%s: %s: %s", o.Origin, o.ID, fmt.Sprintf(format, args...)))
}

func checkMarks(o object.Object) error {
	metadata, _ := o.Content()["metadata"].(map[string]any)
	labels, _ := metadata["labels"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	var found []string
	for _, label := range []string{object.LabelLedger, object.LabelApp} {
		if _, ok := labels[label]; ok {
			found = append(found, "label "+label)
		}
	}
	if _, ok := annotations[object.AnnotationID]; ok {
		found = append(found, "annotation "+object.AnnotationID)
	}
	if len(found) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %s: %w (%s)", o.Origin, o.ID, ErrMarked, strings.Join(found, ", "))
}

// serverMetadata are the fields of the metadata that the API server sets.
//
// https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/
func serverMetadata() []string {
	return []string{"creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"}
}

func (n *normal) withoutServerFields(o object.Object) object.Object {
	var dropped []string
	metadata, _ := o.Content()["metadata"].(map[string]any)
	present := slices.DeleteFunc(serverMetadata(), func(field string) bool {
		value, ok := metadata[field]
		if ok && !isEmpty(value) {
			dropped = append(dropped, "metadata."+field)
		}
		return !ok
	})
	if len(present) > 0 {
		o = o.WithoutMetadata(present...)
	}
	if _, builtin := object.BuiltinScope(o.ID.GroupKind()); builtin {
		if status, ok := o.Content()["status"]; ok {
			o = o.Without("status")
			if !isEmpty(status) && o.ID.GroupKind() != crdKind() {
				dropped = append(dropped, "status")
			}
		}
	}
	if len(dropped) > 0 {
		n.warn(o, "%s: left out, because the API server sets it", strings.Join(dropped, ", "))
	}
	return o
}

// isEmpty says whether a value says nothing.
func isEmpty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case int64:
		return v == 0
	case []any:
		return !slices.ContainsFunc(v, func(item any) bool { return !isEmpty(item) })
	case map[string]any:
		for _, item := range v {
			if !isEmpty(item) {
				return false
			}
		}
		return true
	default:
		return false
	}
}

func (n *normal) inScope(o object.Object, scope scopeFunc, namespace string) object.Object {
	namespaced, known := scope(o.ID.GroupKind())
	switch {
	case !known:
		return o
	case !namespaced && o.ID.Namespace != "":
		n.warn(o, "the namespace is left out, because the kind is cluster-scoped")
		return o.WithNamespace("")
	case namespaced && o.ID.Namespace == "" && namespace != "":
		return o.WithNamespace(namespace)
	case namespaced && o.ID.Namespace == "":
		return o.WithNamespace(defaultNamespace)
	default:
		return o
	}
}
