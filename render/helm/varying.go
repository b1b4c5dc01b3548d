package helm

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"tidemark.dev/tidemark/render/object"
)

// errIdentity is the case of a chart that names or counts its objects by lot.
var errIdentity = errors.New("two renders of the chart give different objects, so that each run would prune what the last one made; give random names a fixed value")

// varying names the fields in which two renders of the same objects differ, as
// JSON pointers (RFC 6901) into the first. An element that only one list has
// names the list.
func varying(first, second []object.Object) (map[object.ID][]string, error) {
	for i := range max(len(first), len(second)) {
		switch {
		case i >= len(second):
			return nil, fmt.Errorf("%s in %s: %w", first[i].ID, first[i].Origin, errIdentity)
		case i >= len(first), first[i].ID != second[i].ID || first[i].Version != second[i].Version:
			return nil, fmt.Errorf("%s in %s: %w", second[i].ID, second[i].Origin, errIdentity)
		}
	}
	all := map[object.ID][]string{}
	for i := range first {
		if differing := differences("", first[i].Content(), second[i].Content()); len(differing) > 0 {
			all[first[i].ID] = differing
		}
	}
	return all, nil
}

func differences(at string, a, b any) []string {
	switch first := a.(type) {
	case map[string]any:
		second, ok := b.(map[string]any)
		if !ok {
			return []string{at}
		}
		var all []string
		for _, key := range union(first, second) {
			pointer := at + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
			one, inFirst := first[key]
			other, inSecond := second[key]
			if inFirst != inSecond {
				all = append(all, pointer)
				continue
			}
			all = append(all, differences(pointer, one, other)...)
		}
		return all
	case []any:
		second, ok := b.([]any)
		if !ok || len(first) != len(second) {
			return []string{at}
		}
		var all []string
		for i := range first {
			all = append(all, differences(at+"/"+strconv.Itoa(i), first[i], second[i])...)
		}
		return all
	default:
		if reflect.DeepEqual(a, b) {
			return nil
		}
		return []string{at}
	}
}

func union(a, b map[string]any) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	return slices.Compact(keys)
}
