package ignore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tidemark.dev/tidemark/render/object"
)

// What jq expressions may take for one object, and find in it.
const (
	patience  = time.Second
	mostFinds = 10_000
)

// ErrEndless is the case of an expression that takes too long, or finds too much.
var ErrEndless = errors.New("it does not come to an end")

// way leads to a field: keys of mappings and positions in lists.
type way []any

// find gives the fields of an object that rules name, the last in lists first. A
// field that the object lacks is none.
func find(ctx context.Context, rules []rule, o object.Object, live map[string]any) ([]way, error) {
	var found []way
	content := o.Content()
	var plain any // as jq takes it
	for _, r := range rules {
		for _, pointer := range r.pointers {
			if to, there := follow(content, pointer); there {
				found = append(found, to)
			}
		}
		for _, manager := range r.managers {
			for _, e := range entries(live) {
				if e.manager == manager {
					found = append(found, ownedBy(content, e.fields, nil)...)
				}
			}
		}
		for _, q := range r.queries {
			if plain == nil {
				plain = bare(content)
			}
			ways, err := q.find(ctx, plain)
			if err != nil {
				return nil, fmt.Errorf("ignore %q in %s: %w", q.text, o.ID, err)
			}
			found = append(found, ways...)
		}
	}
	slices.SortFunc(found, func(a, b way) int { return slices.CompareFunc(b, a, compareSteps) })
	return found, nil
}

func compareSteps(a, b any) int {
	i, isPosition := a.(int)
	j, both := b.(int)
	if isPosition && both {
		return cmp.Compare(i, j)
	}
	return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b))
}

// follow gives the way that a JSON pointer goes in an object.
func follow(node any, pointer []string) (way, bool) {
	var to way
	for _, part := range pointer {
		switch n := node.(type) {
		case map[string]any:
			value, there := n[part]
			if !there {
				return nil, false
			}
			node, to = value, append(to, part)
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(n) {
				return nil, false
			}
			node, to = n[i], append(to, i)
		default:
			return nil, false
		}
	}
	return to, true
}

// find gives the ways that the expression finds. What it cannot be asked of, such
// as an object without the list that it goes through, it finds nothing in.
func (q query) find(ctx context.Context, plain any) ([]way, error) {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var found []way
	results := q.code.RunWithContext(bounded, plain)
	for {
		result, more := results.Next()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if bounded.Err() != nil || len(found) > mostFinds {
			return nil, ErrEndless
		}
		steps, isPath := result.([]any)
		if !more || !isPath { // the end, or an error
			return found, nil
		}
		if to, there := arrive(steps); there {
			found = append(found, to)
		}
	}
}

// arrive gives a way as jq writes it. Slices and the object itself are none.
func arrive(steps []any) (way, bool) {
	to := way{}
	for _, step := range steps {
		switch s := step.(type) {
		case string:
			to = append(to, s)
		case int:
			to = append(to, s)
		case float64:
			to = append(to, int(s))
		default:
			return nil, false
		}
	}
	return to, len(to) > 0
}

// bare gives content in the types of JSON, which are jq's.
func bare(content map[string]any) (plain any) {
	data, err := json.Marshal(content)
	if err == nil {
		err = json.Unmarshal(data, &plain)
	}
	if err != nil {
		return nil // It came from JSON or YAML: there is no such content.
	}
	return plain
}

// entry is what the server noted as one field manager's.
type entry struct {
	manager string
	fields  map[string]any
}

func entries(live map[string]any) []entry {
	metadata, _ := live["metadata"].(map[string]any)
	list, _ := metadata["managedFields"].([]any)
	var all []entry
	for _, item := range list {
		e, _ := item.(map[string]any)
		manager, _ := e["manager"].(string)
		fields, _ := e["fieldsV1"].(map[string]any)
		if len(fields) > 0 {
			all = append(all, entry{manager, fields})
		}
	}
	return all
}

// ownedBy gives the ways to the fields of an object that managed fields hold.
func ownedBy(node any, fields map[string]any, before way) []way {
	if len(fields) == 0 {
		return []way{slices.Clone(before)}
	}
	var all []way
	for name, inner := range fields {
		below, _ := inner.(map[string]any)
		switch n := node.(type) {
		case map[string]any:
			key, isField := strings.CutPrefix(name, "f:")
			if value, there := n[key]; isField && there {
				all = append(all, ownedBy(value, below, append(slices.Clone(before), key))...)
			}
		case []any:
			for i, item := range n {
				if keys, isItem := keysOf(name); isItem && keys.fit(item) {
					all = append(all, ownedBy(item, below, append(slices.Clone(before), i))...)
				}
			}
		}
	}
	return all
}

// keys name one item of a list, such as a container's name.
type keys map[string]any

func keysOf(name string) (keys, bool) {
	text, isItem := strings.CutPrefix(name, "k:")
	var k keys
	return k, isItem && json.Unmarshal([]byte(text), &k) == nil
}

// fit says whether an item bears the keys; one that it leaves out, the server
// fills in.
func (k keys) fit(item any) bool {
	fields, _ := item.(map[string]any)
	some := false
	for key, value := range k {
		given, there := fields[key]
		if there && fmt.Sprint(given) != fmt.Sprint(value) {
			return false
		}
		some = some || there
	}
	return some
}
