package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// FieldDiff is one field that differs between the live object and what it
// would become. Old is nil for a field that is added, New for one that goes.
type FieldDiff struct {
	// Path of the field as kubectl explain writes it, list items by their name
	// where they have one: `spec.containers[name=web].image`.
	Path string `json:"path"`
	Old  any    `json:"old,omitempty"`
	New  any    `json:"new,omitempty"`
	// Masked: the values are a Secret's and were left out; only that they
	// differ is told.
	Masked bool `json:"masked,omitempty"`
	// Manager wrote the live value of a field that drifted, At a time (RFC 3339);
	// empty when the server does not know. They are no part of a plan's hash.
	Manager string `json:"manager,omitempty"`
	At      string `json:"at,omitempty"`
}

// serverOwned are the fields of metadata that the server writes by itself.
var serverOwned = []string{ //nolint:gochecknoglobals // a table
	"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid",
}

// Diff lists the fields in which two contents of one object differ, in the
// order of their paths. What the server writes by itself is left out, as are
// fields at the JSON pointers in ignore. With mask, no value is shown.
func Diff(old, now map[string]any, mask bool, ignore []string) []FieldDiff {
	d := differ{mask: mask, ignored: map[string]bool{}}
	for _, pointer := range ignore {
		d.ignored[pointer] = true
	}
	d.mapping("", "", wanted(old), wanted(now))
	return d.found
}

func wanted(content map[string]any) map[string]any {
	content = maps.Clone(content)
	delete(content, "status")
	delete(content, "apiVersion")
	if metadata, ok := content["metadata"].(map[string]any); ok {
		metadata = maps.Clone(metadata)
		for _, field := range serverOwned {
			delete(metadata, field)
		}
		content["metadata"] = metadata
	}
	return content
}

type differ struct {
	mask    bool
	ignored map[string]bool
	found   []FieldDiff
}

func (d *differ) value(path, pointer string, old, now any) {
	if d.ignored[pointer] || reflect.DeepEqual(old, now) {
		return
	}
	if path == "metadata.labels" || path == "metadata.annotations" {
		// Key by key even where there was none: who adds one label to a bare object
		// changes one label.
		o, _ := old.(map[string]any)
		n, _ := now.(map[string]any)
		d.mapping(path, pointer, o, n)
		return
	}
	switch o := old.(type) {
	case map[string]any:
		if n, ok := now.(map[string]any); ok {
			d.mapping(path, pointer, o, n)
			return
		}
	case []any:
		if n, ok := now.([]any); ok {
			d.list(path, pointer, o, n)
			return
		}
	}
	if sameNumber(old, now) {
		return
	}
	d.add(path, old, now)
}

// sameNumber treats 1 and 1.0 as equal, which JSON does too.
func sameNumber(old, now any) bool {
	o, err := json.Marshal(old)
	if err != nil {
		return false
	}
	n, err := json.Marshal(now)
	return err == nil && bytes.Equal(o, n)
}

func (d *differ) add(path string, old, now any) {
	if d.mask && (secretField(path, "data") || secretField(path, "stringData") ||
		path == "metadata.annotations[kubectl.kubernetes.io/last-applied-configuration]") {
		d.found = append(d.found, FieldDiff{Path: path, Masked: true})
		return
	}
	d.found = append(d.found, FieldDiff{Path: path, Old: old, New: now})
}

func secretField(path, field string) bool {
	return path == field || strings.HasPrefix(path, field+".") || strings.HasPrefix(path, field+"[")
}

func (d *differ) mapping(path, pointer string, old, now map[string]any) {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(old)), maps.Keys(now))
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		d.value(join(path, key), pointer+"/"+escape(key), old[key], now[key])
	}
}

// join writes a key that has dots or slashes, as labels have, in brackets.
func join(path, key string) string {
	if strings.ContainsAny(key, "./[]") {
		return path + "[" + key + "]"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// escape writes a key as a part of a JSON pointer (RFC 6901, section 4).
func escape(key string) string {
	return strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}

// list compares lists item by item: by name where all items have one, so that
// an item put in the middle is one difference, else by position.
func (d *differ) list(path, pointer string, old, now []any) {
	key := mergeKey(old, now)
	if key == "" {
		for i := range max(len(old), len(now)) {
			d.value(path+"["+strconv.Itoa(i)+"]", pointer+"/"+strconv.Itoa(i), at(old, i), at(now, i))
		}
		return
	}
	position := map[string]int{}
	for i, item := range now {
		position[name(item, key)] = i
	}
	for _, item := range old {
		id := name(item, key)
		if i, ok := position[id]; ok {
			d.value(path+"["+key+"="+id+"]", pointer+"/"+strconv.Itoa(i), item, now[i])
			delete(position, id)
			continue
		}
		d.value(path+"["+key+"="+id+"]", pointer+"/-", item, nil)
	}
	for i, item := range now {
		if id := name(item, key); position[id] == i && has(position, id) {
			d.value(path+"["+key+"="+id+"]", pointer+"/"+strconv.Itoa(i), nil, item)
		}
	}
	// The order alone can matter too, as that of initContainers does.
	if before, after := common(old, now, key), common(now, old, key); !slices.Equal(before, after) {
		d.add(path, strings.Join(before, ", "), strings.Join(after, ", "))
	}
}

// common lists the names of the items of one list that another one has too.
func common(list, other []any, key string) []string {
	in := map[string]bool{}
	for _, item := range other {
		in[name(item, key)] = true
	}
	var names []string
	for _, item := range list {
		if id := name(item, key); in[id] {
			names = append(names, id)
		}
	}
	return names
}

func at(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return nil
}

func has(position map[string]int, id string) bool { _, ok := position[id]; return ok }

// mergeKey gives the field by which every item of both lists is named
// uniquely, or "".
func mergeKey(lists ...[]any) string {
	for _, key := range []string{"name", "containerPort", "port", "mountPath", "key", "ip", "type"} {
		if uniqueBy(key, lists) {
			return key
		}
	}
	return ""
}

func uniqueBy(key string, lists [][]any) bool {
	for _, list := range lists {
		seen := map[string]bool{}
		for _, item := range list {
			id := name(item, key)
			if id == "" || seen[id] {
				return false
			}
			seen[id] = true
		}
	}
	return true
}

func name(item any, key string) string {
	fields, ok := item.(map[string]any)
	if !ok || fields[key] == nil {
		return ""
	}
	return fmt.Sprint(fields[key])
}
