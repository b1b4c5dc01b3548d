package config_test

import (
	"bytes"
	"encoding"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/cmd/internal/config"
	"tidemark.dev/tidemark/state"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The published schema and the reference are made from the Go structs that the
// decoder reads into, so that they say what it does.
func TestSchema(t *testing.T) {
	comments := readComments(t)
	for file, about := range map[string]struct {
		root      reflect.Type
		id, title string
	}{
		"tidemark.schema.json": {reflect.TypeFor[config.Config](), "v1alpha1", "Tidemark configuration"},
		"fleet.schema.json":    {reflect.TypeFor[config.Fleet](), "fleet-v1alpha1", "Tidemark fleet"},
	} {
		g := generator{comments: comments, definitions: map[string]any{}}
		root := g.schema(about.root)
		root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
		root["$id"] = "https://tidemark.dev/schema/" + about.id + ".json"
		root["title"] = about.title + " (" + config.APIVersion + ")"
		root["$defs"] = g.definitions
		golden(t, file, append(indent(t, root), '\n'))
	}
}

func TestReference(t *testing.T) {
	g := generator{comments: readComments(t)}
	var b bytes.Buffer
	b.WriteString("<!-- Made from the Go structs by go test ./cmd/internal/config -update. -->\n")
	done := map[reflect.Type]bool{}
	g.reference(&b, reflect.TypeFor[config.Config](), done)
	b.WriteString("\n### The fleet file\n\n`tidemark sync --fleet FILE` reads it. Cluster and Auth are those of the configuration.\n")
	g.reference(&b, reflect.TypeFor[config.Fleet](), done)
	golden(t, "reference.md", b.Bytes())
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil { //nolint:gosec // It is published.
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is out of date, run go test ./cmd/internal/config -update (-want +got):\n%s", file, diff)
	}
}

func indent(t *testing.T, value any) []byte {
	t.Helper()
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// generator makes a schema of types and their comments.
type generator struct {
	comments    comments
	definitions map[string]any
}

func (g generator) schema(t reflect.Type) map[string]any {
	properties, required := map[string]any{}, []string{}
	for _, f := range config.Fields(t) {
		property := g.property(f)
		if text := g.comments.field(f); text != "" {
			property["description"] = text
		}
		properties[f.Name] = property
		if f.Required {
			required = append(required, f.Name)
		}
	}
	object := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		object["required"] = required
	}
	if text := g.comments.types[t.String()]; text != "" {
		object["description"] = text
	}
	return object
}

func (g generator) property(f config.Field) map[string]any {
	return g.value(f.Type, strings.Fields(f.OneOf))
}

func (g generator) value(t reflect.Type, oneOf []string) map[string]any {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[state.Duration]():
		return map[string]any{"type": "string", "pattern": `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`, "examples": []string{"90s", "10m"}}
	case t == reflect.TypeFor[config.Size]():
		return map[string]any{"type": []string{"string", "integer"}, "pattern": `^[0-9]{1,18}(Ki|Mi|Gi|k|M|G)?$`, "examples": []string{"256Mi"}}
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		panic("no schema for " + t.String())
	}
	switch t.Kind() { //nolint:exhaustive // The others panic below.
	case reflect.Struct:
		name := t.String()
		if _, made := g.definitions[name]; !made {
			g.definitions[name] = nil // Types may hold themselves.
			g.definitions[name] = g.schema(t)
		}
		ref := map[string]any{"$ref": "#/$defs/" + name}
		for _, f := range config.Fields(t) {
			if f.Short {
				return map[string]any{"anyOf": []any{ref, g.property(f)}}
			}
		}
		return ref
	case reflect.Slice:
		return map[string]any{"type": "array", "items": g.value(t.Elem(), oneOf)}
	case reflect.Map:
		object := map[string]any{"type": "object"}
		if t.Elem().Kind() != reflect.Interface {
			object["additionalProperties"] = g.value(t.Elem(), nil)
		}
		return object
	case reflect.String:
		if len(oneOf) > 0 {
			return map[string]any{"type": "string", "enum": oneOf}
		}
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return map[string]any{"type": "integer"}
	}
	panic("no schema for " + t.String())
}

// reference writes a table for each type, the outermost first.
func (g generator) reference(b *bytes.Buffer, t reflect.Type, done map[reflect.Type]bool) {
	if done[t] {
		return
	}
	done[t] = true
	fmt.Fprintf(b, "\n#### %s\n\n%s\n\n| field | type | meaning |\n|---|---|---|\n", title(t), g.comments.types[t.String()])
	var inner []reflect.Type
	for _, f := range config.Fields(t) {
		name := "`" + f.Name + "`"
		if f.Required {
			name += " (required)"
		}
		word, of := word(f)
		fmt.Fprintf(b, "| %s | %s | %s |\n", name, word, strings.ReplaceAll(g.comments.field(f), "|", `\|`))
		if of != nil {
			inner = append(inner, of)
		}
	}
	for _, of := range inner {
		g.reference(b, of, done)
	}
}

func title(t reflect.Type) string { return strings.TrimPrefix(t.String(), "config.") }

// word names the type of a field, and the struct that it leads to.
func word(f config.Field) (string, reflect.Type) {
	t, list := f.Type, ""
	if t.Kind() == reflect.Slice {
		t, list = t.Elem(), "list of "
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case f.OneOf != "":
		return list + "`" + strings.Join(strings.Fields(f.OneOf), "`, `") + "`", nil
	case t == reflect.TypeFor[state.Duration]():
		return list + "duration", nil
	case t == reflect.TypeFor[config.Size]():
		return list + "size", nil
	case t.Kind() == reflect.Struct:
		return list + title(t), t
	case t.Kind() == reflect.Map && t.Elem().Kind() == reflect.Interface:
		return "anything", nil
	case t.Kind() == reflect.Map:
		return "map of strings", nil
	case t.Kind() == reflect.Bool:
		return list + "boolean", nil
	case t.Kind() == reflect.String:
		return list + "string", nil
	}
	return list + "number", nil
}

// comments are the doc comments of the packages whose structs stand in the
// configuration.
type comments struct {
	types  map[string]string
	fields map[string]string
}

func (c comments) field(f config.Field) string { return c.fields[f.Owner.String()+"."+f.Go] }

func readComments(t *testing.T) comments {
	t.Helper()
	found := comments{types: map[string]string{}, fields: map[string]string{}}
	for _, dir := range []string{".", "../../../render", "../../../render/plain", "../../../render/kustomize", "../../../render/helm", "../../../render/git", "../../../reconcile/ignore"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				found.read(t, file)
			}
		}
	}
	return found
}

func (c comments) read(t *testing.T, file string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for _, declaration := range parsed.Decls {
		group, ok := declaration.(*ast.GenDecl)
		if !ok || group.Tok != token.TYPE {
			continue
		}
		for _, spec := range group.Specs {
			named := spec.(*ast.TypeSpec)
			name := parsed.Name.Name + "." + named.Name.Name
			text := named.Doc.Text()
			if text == "" {
				text = group.Doc.Text()
			}
			c.types[name] = oneLine(text)
			structure, ok := named.Type.(*ast.StructType)
			if !ok {
				continue
			}
			for i, field := range structure.Fields.List {
				comment := field.Doc.Text()
				if comment == "" && i > 0 && len(field.Names) > 0 {
					comment = shared(structure.Fields.List[:i], field.Names[0].Name)
				}
				for _, n := range field.Names {
					c.fields[name+"."+n.Name] = oneLine(comment)
				}
			}
		}
	}
}

// shared gives a comment above that speaks of this field too, as in "Labels and
// Annotations are …".
func shared(before []*ast.Field, name string) string {
	for _, above := range slices.Backward(before) {
		text := above.Doc.Text()
		if text == "" {
			continue
		}
		for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' || r == '.' }) {
			if word == name {
				return text
			}
		}
		return ""
	}
	return ""
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// Every field must be explained: the comments are the documentation.
func TestEveryFieldIsExplained(t *testing.T) {
	c := readComments(t)
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(s reflect.Type) {
		if seen[s] {
			return
		}
		seen[s] = true
		for _, f := range config.Fields(s) {
			if _, of := word(f); of != nil {
				walk(of)
			}
			own := strings.HasPrefix(f.Owner.String(), "config.")
			if own && c.field(f) == "" {
				t.Errorf("%s.%s has no comment", f.Owner, f.Go)
			}
		}
	}
	walk(reflect.TypeFor[config.Config]())
	walk(reflect.TypeFor[config.Fleet]())
}
