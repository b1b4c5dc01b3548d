package object

import (
	"maps"
	"slices"
)

// Masked gives a Secret with its keys and without their values, and any other
// object as it is: what may be stored or shown of it.
func (o Object) Masked() Object {
	if !o.IsSecret() {
		return o
	}
	content := maps.Clone(o.content)
	for _, field := range []string{"data", "stringData"} {
		if values, ok := content[field].(map[string]any); ok {
			masked := make(map[string]any, len(values))
			for key := range values {
				masked[key] = ""
			}
			content[field] = masked
		}
	}
	// kubectl's annotation repeats the whole manifest, data included.
	o.content = content
	return o.dropAnnotation("kubectl.kubernetes.io/last-applied-configuration")
}

func (o Object) dropAnnotation(key string) Object {
	metadata := maps.Clone(o.content["metadata"].(map[string]any))
	if values, ok := metadata["annotations"].(map[string]any); ok {
		values = maps.Clone(values)
		delete(values, key)
		metadata["annotations"] = values
	}
	o.content = maps.Clone(o.content)
	o.content["metadata"] = metadata
	return o
}

// Unmarked gives the object without our marks, as it was rendered.
func (o Object) Unmarked() Object {
	metadata := maps.Clone(o.content["metadata"].(map[string]any))
	for field, marks := range map[string][]string{"labels": {LabelLedger, LabelApp}, "annotations": {AnnotationID, AnnotationRecovered}} {
		values, ok := metadata[field].(map[string]any)
		if !ok {
			continue
		}
		values = maps.Clone(values)
		maps.DeleteFunc(values, func(key string, _ any) bool { return slices.Contains(marks, key) })
		if metadata[field] = values; len(values) == 0 {
			delete(metadata, field)
		}
	}
	o.content = maps.Clone(o.content)
	o.content["metadata"] = metadata
	return o
}
