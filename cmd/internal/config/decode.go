package config

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"
)

// maxNodes bounds what aliases can make of a small file.
const maxNodes = 200_000

// decoder reads a YAML document into typed fields, strictly: an unknown field,
// a field given twice, a value of another type are problems. Typed fields are
// read as YAML 1.2 has it. Free fields (the values of a chart) are read as Helm
// and kubectl read them, in YAML 1.1, from loose.
type decoder struct {
	problems
	nodes int
}

// decodeYAML reads one document into the struct that into points at and notes
// every problem. It gives false when the document could not be read at all.
func decodeYAML(data []byte, into any, notes *problems) bool {
	d := &decoder{problems: *notes}
	defer func() { *notes = d.problems }()
	root, ok := d.document(data)
	if !ok {
		return false
	}
	loose, err := decodeLoose(data)
	if err != nil {
		d.syntax(err)
		return false
	}
	d.value(root, loose, reflect.ValueOf(into).Elem(), "", "")
	return true
}

// document gives the one document of the file.
func (d *decoder) document(data []byte) (*yaml.Node, bool) {
	reader := yaml.NewDecoder(bytes.NewReader(data))
	var first, second yaml.Node
	switch err := reader.Decode(&first); {
	case errors.Is(err, io.EOF):
		d.at(0, "", "is empty")
		return nil, false
	case err != nil:
		d.syntax(err)
		return nil, false
	}
	if err := reader.Decode(&second); !errors.Is(err, io.EOF) {
		d.at(second.Line, "", "holds more than one document")
		return nil, false
	}
	return first.Content[0], true
}

var lineOf = regexp.MustCompile(`^(?:yaml: |error converting YAML to JSON: )*(?:line (\d+): )?`)

// syntax notes what a YAML parser said, without its own prefix.
func (d *decoder) syntax(err error) {
	text := err.Error()
	found := lineOf.FindStringSubmatch(text)
	line, _ := strconv.Atoi(found[1])
	d.at(line, "", "%s", strings.TrimPrefix(text, found[0]))
}

// decodeLoose reads the file as sigs.k8s.io/yaml does; whole numbers stay whole.
func decodeLoose(data []byte) (any, error) {
	asJSON, err := sigsyaml.YAMLToJSON(data)
	if err != nil {
		return nil, err
	}
	reader := json.NewDecoder(bytes.NewReader(asJSON))
	reader.UseNumber()
	var loose any
	if err := reader.Decode(&loose); err != nil {
		return nil, err
	}
	return settleNumbers(loose), nil
}

func settleNumbers(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, item := range v {
			v[key] = settleNumbers(item)
		}
	case []any:
		for i, item := range v {
			v[i] = settleNumbers(item)
		}
	case json.Number:
		if whole, err := v.Int64(); err == nil {
			return whole
		}
		if number, err := v.Float64(); err == nil {
			return number
		}
	}
	return value
}

// value reads one node into a field. oneof lists the words that a string field
// allows, as its struct tag has them.
func (d *decoder) value(node *yaml.Node, loose any, into reflect.Value, field, oneof string) {
	if d.nodes++; d.nodes > maxNodes {
		if d.nodes == maxNodes+1 {
			d.at(node.Line, field, "is too large: more than %d values", maxNodes)
		}
		return
	}
	if _, known := d.lines[field]; !known {
		d.lines[field] = node.Line
	}
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.ShortTag() == "!!null" && into.Kind() != reflect.Interface {
		d.at(node.Line, field, "has no value: give one, or leave the field out")
		return
	}
	if into.Kind() == reflect.Pointer {
		into.Set(reflect.New(into.Type().Elem()))
		into = into.Elem()
	}
	if text, ok := reflect.TypeAssert[encoding.TextUnmarshaler](into.Addr()); ok {
		d.text(node, text, field)
		return
	}
	switch into.Kind() {
	case reflect.Struct:
		d.structure(node, loose, into, field)
	case reflect.Map:
		d.mapping(node, loose, into, field)
	case reflect.Slice:
		d.list(node, loose, into, field, oneof)
	case reflect.Interface:
		d.free(node, field)
		if loose != nil {
			into.Set(reflect.ValueOf(loose))
		}
	default:
		d.scalar(node, into, field, oneof)
	}
}

func (d *decoder) text(node *yaml.Node, into encoding.TextUnmarshaler, field string) {
	if node.Kind != yaml.ScalarNode {
		d.at(node.Line, field, "want a string, not %s", describe(node))
		return
	}
	if err := into.UnmarshalText([]byte(node.Value)); err != nil {
		d.at(node.Line, field, "%v", err)
	}
}

func (d *decoder) scalar(node *yaml.Node, into reflect.Value, field, oneof string) {
	tag := node.ShortTag()
	switch kind := into.Kind(); {
	case kind == reflect.String && tag == "!!str":
		into.SetString(node.Value)
		if words := strings.Fields(oneof); len(words) > 0 && !slices.Contains(words, node.Value) {
			d.at(node.Line, field, "%q is not one of %s%s", node.Value, strings.Join(words, ", "), didYouMean(node.Value, words))
		}
	case kind == reflect.String && node.Kind == yaml.ScalarNode:
		d.at(node.Line, field, "want a string, not %s: write %q in quotes", describe(node), node.Value)
	case kind == reflect.String:
		d.at(node.Line, field, "want a string, not %s", describe(node))
	case kind == reflect.Bool && tag == "!!bool":
		into.SetBool(strings.EqualFold(node.Value, "true"))
	case kind == reflect.Bool && node.Kind == yaml.ScalarNode:
		d.at(node.Line, field, "want true or false, not %s", node.Value)
	case kind == reflect.Bool:
		d.at(node.Line, field, "want true or false, not %s", describe(node))
	case into.CanInt() && tag == "!!int":
		number, err := strconv.ParseInt(node.Value, 10, 64)
		if err != nil || into.OverflowInt(number) {
			d.at(node.Line, field, "want a whole number in decimal digits")
			return
		}
		into.SetInt(number)
	default:
		d.at(node.Line, field, "want a whole number, not %s", describe(node))
	}
}

func (d *decoder) list(node *yaml.Node, loose any, into reflect.Value, field, oneof string) {
	if node.Kind != yaml.SequenceNode {
		d.at(node.Line, field, "want a list, not %s", describe(node))
		return
	}
	items, _ := loose.([]any)
	into.Set(reflect.MakeSlice(into.Type(), len(node.Content), len(node.Content)))
	for i, item := range node.Content {
		d.value(item, at(items, i), into.Index(i), fmt.Sprintf("%s[%d]", field, i), oneof)
	}
}

func at(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return nil
}

func (d *decoder) mapping(node *yaml.Node, loose any, into reflect.Value, field string) {
	pairs, ok := d.pairs(node, field)
	if !ok {
		return
	}
	values, _ := loose.(map[string]any)
	into.Set(reflect.MakeMapWithSize(into.Type(), len(pairs)))
	for _, p := range pairs {
		item := reflect.New(into.Type().Elem()).Elem()
		d.value(p.value, values[p.key], item, join(field, p.key), "")
		into.SetMapIndex(reflect.ValueOf(p.key), item)
	}
}

// free looks for what is wrong in a value that may be anything.
func (d *decoder) free(node *yaml.Node, field string) {
	if d.nodes++; d.nodes > maxNodes {
		return
	}
	switch node.Kind {
	case yaml.MappingNode:
		pairs, _ := d.pairs(node, field)
		for _, p := range pairs {
			d.free(p.value, join(field, p.key))
		}
	case yaml.SequenceNode:
		for i, item := range node.Content {
			d.free(item, fmt.Sprintf("%s[%d]", field, i))
		}
	case yaml.AliasNode, yaml.ScalarNode, yaml.DocumentNode:
	}
}

func (d *decoder) structure(node *yaml.Node, loose any, into reflect.Value, field string) {
	fields := Fields(into.Type())
	if short := slices.IndexFunc(fields, func(f Field) bool { return f.Short }); short >= 0 && node.Kind == yaml.ScalarNode {
		d.scalar(node, into.FieldByIndex(fields[short].Index), field, fields[short].OneOf)
		return
	}
	pairs, ok := d.pairs(node, field)
	if !ok {
		return
	}
	values, _ := loose.(map[string]any)
	given := map[string]bool{}
	for _, p := range pairs {
		at := slices.IndexFunc(fields, func(f Field) bool { return f.Name == p.key })
		if at < 0 {
			d.at(p.line, join(field, p.key), "unknown field%s", didYouMean(p.key, names(fields)))
			continue
		}
		given[p.key] = true
		d.lines[join(field, p.key)] = p.line
		d.value(p.value, values[p.key], into.FieldByIndex(fields[at].Index), join(field, p.key), fields[at].OneOf)
	}
	for _, f := range fields {
		if f.Required && !given[f.Name] {
			d.at(node.Line, join(field, f.Name), "is required")
		}
	}
}

func names(fields []Field) []string {
	list := make([]string, len(fields))
	for i, f := range fields {
		list[i] = f.Name
	}
	return list
}

func join(field, key string) string {
	if field == "" {
		return key
	}
	return field + "." + key
}

type pair struct {
	key   string
	line  int
	value *yaml.Node
}

// pairs gives the entries of a mapping, those of its merge keys before its own,
// and notes keys that are given twice.
func (d *decoder) pairs(node *yaml.Node, field string) ([]pair, bool) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Kind != yaml.MappingNode {
		d.at(node.Line, field, "want a mapping, not %s", describe(node))
		return nil, false
	}
	var merged, own []pair
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.ShortTag() == "!!merge" {
			merged = append(merged, d.merged(value, field)...)
			continue
		}
		if key.Kind != yaml.ScalarNode {
			d.at(key.Line, field, "a key must be a word")
			continue
		}
		if line, twice := seen[key.Value]; twice {
			d.at(key.Line, join(field, key.Value), "is given twice, first on line %d", line)
			continue
		}
		seen[key.Value] = key.Line
		own = append(own, pair{key: key.Value, line: key.Line, value: value})
	}
	merged = slices.DeleteFunc(merged, func(p pair) bool {
		_, overridden := seen[p.key]
		return overridden
	})
	return append(merged, own...), true
}

func (d *decoder) merged(node *yaml.Node, field string) []pair {
	if d.nodes++; d.nodes > maxNodes {
		return nil
	}
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Kind != yaml.SequenceNode {
		pairs, _ := d.pairs(node, field)
		return pairs
	}
	var pairs []pair
	for _, item := range node.Content {
		for _, p := range d.merged(item, field) {
			if !slices.ContainsFunc(pairs, func(q pair) bool { return q.key == p.key }) {
				pairs = append(pairs, p)
			}
		}
	}
	return pairs
}

func describe(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode, yaml.DocumentNode, yaml.AliasNode:
	}
	switch node.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!bool":
		return "a boolean"
	case "!!int", "!!float":
		return "a number"
	case "!!timestamp":
		return "a date"
	}
	return "a string"
}
