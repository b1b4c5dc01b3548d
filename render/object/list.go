package object

import (
	"fmt"
	"maps"
	"strings"
)

// isList says whether a manifest only wraps others: kind List, or a kind such
// as RoleList that has items. List metadata has no name, so that what has one
// is an object of its own, whatever its kind is called.
//
// https://kubernetes.io/docs/reference/using-api/api-concepts/#collections
func isList(content map[string]any) bool {
	kind, _ := content["kind"].(string)
	if kind == "List" && content["apiVersion"] == "v1" {
		return true
	}
	if _, ok := content["items"]; !ok || !strings.HasSuffix(kind, "List") {
		return false
	}
	metadata, _ := content["metadata"].(map[string]any)
	name, _ := metadata["name"].(string)
	return name == ""
}

// listed gives the objects that a list wraps, also those of lists in it. An
// item without apiVersion and kind takes those that the list is named for. Items
// that are missing or null are refused rather than taken for an empty list:
// more often than not they are a template that went wrong.
func listed(list map[string]any, origin Origin) ([]Object, []error) {
	kind, _ := list["kind"].(string)
	items, ok := list["items"].([]any)
	if !ok {
		return nil, []error{fmt.Errorf("%s: items is %s, not a list (an empty list is written [])", kind, describe(list["items"]))}
	}
	var objects []Object
	var errs []error
	for i, item := range items {
		content, ok := item.(map[string]any)
		if !ok {
			errs = append(errs, fmt.Errorf("%s: item %d: %w: it is %s, not a mapping", kind, i+1, ErrNotObject, describe(item)))
			continue
		}
		found, itemErrs := document{value: typed(content, list)}.objects(origin)
		objects = append(objects, found...)
		for _, err := range itemErrs {
			errs = append(errs, fmt.Errorf("%s: item %d: %w", kind, i+1, err))
		}
	}
	return objects, errs
}

// typed gives an item with the apiVersion and kind that its list implies, where
// it lacks both.
func typed(item, list map[string]any) map[string]any {
	kind, _ := list["kind"].(string)
	kind = strings.TrimSuffix(kind, "List")
	if item["apiVersion"] != nil || item["kind"] != nil || kind == "" {
		return item
	}
	item = maps.Clone(item)
	item["apiVersion"], item["kind"] = list["apiVersion"], kind
	return item
}
