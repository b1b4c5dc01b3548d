package config

import (
	"reflect"
	"strings"
)

// Field is one field of the configuration, as its Go struct describes it: the
// decoder and the published schema both follow this description.
type Field struct {
	Name  string
	Index []int
	Type  reflect.Type
	// Required: leaving the field out is a problem (tag required:"true").
	Required bool
	// OneOf lists the words that the field allows, separated by spaces (tag
	// oneof:"take refuse").
	OneOf string
	// Short: the struct may be written as the value of this field alone (tag
	// short:"true").
	Short bool
	// Owner is the struct that declares the field, and Go its name there.
	Owner reflect.Type
	Go    string
}

// Fields lists the fields of a struct in their order; those of an embedded
// struct without a name of its own stand in its place.
func Fields(t reflect.Type) []Field {
	var list []Field
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported():
		case name == "" && f.Anonymous:
			for _, inner := range Fields(f.Type) {
				inner.Index = append([]int{i}, inner.Index...)
				list = append(list, inner)
			}
		case name != "":
			rule := foreign[t.String()+"."+f.Name]
			list = append(list, Field{
				Name: name, Index: []int{i}, Type: f.Type,
				Required: rule.required || f.Tag.Get("required") == "true",
				OneOf:    or(rule.oneOf, f.Tag.Get("oneof")),
				Short:    f.Tag.Get("short") == "true",
				Owner:    t, Go: f.Name,
			})
		}
	}
	return list
}

// foreign are the rules of fields whose structs stand in the renderers' own
// packages, which know nothing of configuration files.
var foreign = map[string]struct { //nolint:gochecknoglobals // a table
	required bool
	oneOf    string
}{
	"render.Spec.Engine":                 {oneOf: "plain kustomize helm"},
	"render.Spec.Duplicates":             {oneOf: "merge"},
	"kustomize.Options.LoadRestrictions": {oneOf: "none root"},
	"kustomize.Image.Name":               {required: true},
	"kustomize.Patch.Patch":              {required: true},
	"helm.Options.Hooks":                 {oneOf: "skip refuse"},
	"helm.Options.Nondeterministic":      {oneOf: "keep apply refuse"},
	"helm.ChartRef.Repo":                 {required: true},
	"helm.ChartRef.Name":                 {required: true},
}
