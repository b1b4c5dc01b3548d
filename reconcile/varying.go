package reconcile

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"tidemark.dev/tidemark/render/object"
)

// A Helm chart may render another password or certificate each time. Such
// fields are known by their JSON pointers (RFC 6901); once the object exists
// they keep their live value (DESIGN §7).

// steady gives an object with the fields at pointers blanked, so that its
// digest is the same at each rendering.
func steady(o object.Object, pointers []string) object.Object {
	return replace(o, pointers, func([]string) (any, bool) { return "", true })
}

// keepLive gives an object with the fields at pointers as they are live; a
// field that is not live stays as it was rendered.
func keepLive(o object.Object, pointers []string, live map[string]any) object.Object {
	return replace(o, pointers, func(path []string) (any, bool) { return lookup(live, path) })
}

// replace gives a copy of o in which the fields at pointers hold what value
// gives for them. A Secret's stringData is what its data is written from, so
// such a field is looked up, and put, in data.
func replace(o object.Object, pointers []string, value func(path []string) (any, bool)) object.Object {
	if len(pointers) == 0 {
		return o
	}
	content := o.Content()
	for _, pointer := range pointers {
		path := parts(pointer)
		if o.IsSecret() && len(path) == 2 && path[0] == "stringData" {
			if v, ok := value([]string{"data", path[1]}); ok {
				content = without(content, path)
				content, _ = put(content, []string{"data", path[1]}, v).(map[string]any)
			}
			continue
		}
		if v, ok := value(path); ok {
			content, _ = put(content, path, v).(map[string]any)
		}
	}
	return o.WithContent(content)
}

func parts(pointer string) []string {
	path := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i, part := range path {
		path[i] = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
	}
	return path
}

func lookup(node any, path []string) (any, bool) {
	for _, part := range path {
		switch n := node.(type) {
		case map[string]any:
			value, ok := n[part]
			if !ok {
				return nil, false
			}
			node = value
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(n) {
				return nil, false
			}
			node = n[i]
		default:
			return nil, false
		}
	}
	return node, true
}

// put gives a copy of node with the value at path; only what lies on the path
// is copied.
func put(node any, path []string, value any) any {
	if len(path) == 0 {
		return value
	}
	switch n := node.(type) {
	case []any:
		i, err := strconv.Atoi(path[0])
		if err != nil || i < 0 || i >= len(n) {
			return node
		}
		n = slices.Clone(n)
		n[i] = put(n[i], path[1:], value)
		return n
	case map[string]any:
		n = maps.Clone(n)
		n[path[0]] = put(n[path[0]], path[1:], value)
		return n
	case nil:
		return map[string]any{path[0]: put(nil, path[1:], value)}
	default:
		return node
	}
}

func without(content map[string]any, path []string) map[string]any {
	content = maps.Clone(content)
	if inner, ok := content[path[0]].(map[string]any); ok {
		inner = maps.Clone(inner)
		delete(inner, path[1])
		content[path[0]] = inner
	}
	return content
}
