// Package ignore says which fields of an object are left to others once the
// object exists: they are neither drift nor applied.
//
// Its words are those of Flux (Rule) and of Argo CD (Difference); both mean the
// same here. Laws: an object is made whole; what nobody but us wrote keeps its live
// value, and what others wrote is not sent at all, so that nothing is fought over
// and nothing is lost; an expression that takes too long is an error, never an
// empty answer.
package ignore

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/itchyny/gojq"
	"k8s.io/apimachinery/pkg/labels"

	"tidemark.dev/tidemark/render/object"
)

// Rule leaves fields of some objects to others, in the words of Flux
// (https://fluxcd.io/flux/components/kustomize/kustomizations/).
type Rule struct {
	// Paths of the fields, as JSON pointers (RFC 6901): "/spec/replicas".
	Paths []string `json:"paths" required:"true"`
	// Target says which objects are meant. Default: all.
	Target Target `json:"target,omitzero"`
}

// Target selects objects. What is empty fits all; group, version, kind, name and
// namespace are regular expressions that must fit the whole word.
type Target struct {
	// Group of the API.
	Group string `json:"group,omitempty"`
	// Version of the API.
	Version string `json:"version,omitempty"`
	// Kind of the objects.
	Kind string `json:"kind,omitempty"`
	// Name of the object.
	Name string `json:"name,omitempty"`
	// Namespace of the object.
	Namespace string `json:"namespace,omitempty"`
	// LabelSelector as kubectl has it: "app=web,tier!=cache".
	LabelSelector string `json:"labelSelector,omitempty"`
	// AnnotationSelector is the same for annotations.
	AnnotationSelector string `json:"annotationSelector,omitempty"`
}

// Difference leaves fields of some objects to others, in the words of Argo CD
// (https://argo-cd.readthedocs.io/en/stable/user-guide/diffing/). Group, kind, name
// and namespace may hold the wildcards * and ?; what is left out fits all.
type Difference struct {
	// Group of the API.
	Group string `json:"group,omitempty"`
	// Kind of the objects.
	Kind string `json:"kind" required:"true"`
	// Name of the object.
	Name string `json:"name,omitempty"`
	// Namespace of the object.
	Namespace string `json:"namespace,omitempty"`
	// JSONPointers name fields: "/spec/replicas".
	JSONPointers []string `json:"jsonPointers,omitempty"`
	// JQPathExpressions find fields, in jq: ".spec.template.spec.containers[].image".
	// One that takes longer than a second for an object fails the app.
	JQPathExpressions []string `json:"jqPathExpressions,omitempty"`
	// ManagedFieldsManagers are field managers; what they own is left to them.
	ManagedFieldsManagers []string `json:"managedFieldsManagers,omitempty"`
}

// Rules are compiled. The zero Rules leaves nothing. It is safe for concurrent
// use.
type Rules struct{ list []rule }

// rule is one Rule or Difference, ready to be used.
type rule struct {
	fits     func(object.Object) bool
	pointers [][]string
	queries  []query
	managers []string
	// text is the rule as it was given.
	text []byte
}

// query is a jq expression that gives the paths it finds.
type query struct {
	text string
	code *gojq.Code
}

// Compile makes rules ready. The error names each that makes no sense, by its
// field ("ignoreDifferences[0].jqPathExpressions[1]").
func Compile(rules []Rule, differences []Difference) (Rules, error) {
	var c compiler
	for i, r := range rules {
		c.rule(fmt.Sprintf("ignore[%d]", i), r)
	}
	for i, d := range differences {
		c.difference(fmt.Sprintf("ignoreDifferences[%d]", i), d)
	}
	return Rules{c.list}, errors.Join(c.errs...)
}

// Digest stands for all rules; empty when there are none.
func (r Rules) Digest() string { return digest(r.list) }

// DigestFor stands for the rules that bear on an object; empty when none does.
func (r Rules) DigestFor(o object.Object) string { return digest(r.on(o)) }

func digest(rules []rule) string {
	if len(rules) == 0 {
		return ""
	}
	hash := sha256.New()
	for _, r := range rules {
		_, _ = hash.Write(append(r.text, '\n'))
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// on gives the rules that bear on an object.
func (r Rules) on(o object.Object) []rule {
	var on []rule
	for _, rule := range r.list {
		if rule.fits(o) {
			on = append(on, rule)
		}
	}
	return on
}

type compiler struct {
	list []rule
	errs []error
}

func (c *compiler) fail(field, format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("%s: "+format, append([]any{field}, args...)...))
}

func (c *compiler) add(r rule, as any) {
	r.text, _ = json.Marshal(as) // It holds nothing but texts.
	c.list = append(c.list, r)
}

func (c *compiler) rule(field string, r Rule) {
	t := r.Target
	words := map[string]*regexp.Regexp{}
	for name, text := range map[string]string{"group": t.Group, "version": t.Version, "kind": t.Kind, "name": t.Name, "namespace": t.Namespace} {
		expression, err := regexp.Compile("^(?:" + text + ")$")
		if err != nil {
			c.fail(field+".target."+name, "%q is not a regular expression", text)
			return
		}
		if text != "" {
			words[name] = expression
		}
	}
	byLabel, err := labels.Parse(t.LabelSelector)
	if err != nil {
		c.fail(field+".target.labelSelector", "%v", err)
		return
	}
	byAnnotation, err := labels.Parse(t.AnnotationSelector)
	if err != nil {
		c.fail(field+".target.annotationSelector", "%v", err)
		return
	}
	c.add(rule{pointers: c.pointers(field+".paths", r.Paths), fits: func(o object.Object) bool {
		for name, value := range map[string]string{"group": o.ID.Group, "version": o.Version, "kind": o.ID.Kind, "name": o.ID.Name, "namespace": o.ID.Namespace} {
			if words[name] != nil && !words[name].MatchString(value) {
				return false
			}
		}
		return byLabel.Matches(marks(o.Label)) && byAnnotation.Matches(marks(o.Annotation))
	}}, r)
	if len(r.Paths) == 0 {
		c.fail(field+".paths", "names no field")
	}
}

// marks looks labels, or annotations, up for a selector; one that is empty is as
// good as absent.
type marks func(key string) string

// Has says whether there is a value.
func (m marks) Has(key string) bool { return m(key) != "" }

// Get gives the value.
func (m marks) Get(key string) string { return m(key) }

// Lookup gives both.
func (m marks) Lookup(key string) (string, bool) { return m(key), m(key) != "" }

func (c *compiler) difference(field string, d Difference) {
	for name, pattern := range map[string]string{"group": d.Group, "kind": d.Kind, "name": d.Name, "namespace": d.Namespace} {
		if _, err := path.Match(pattern, ""); err != nil {
			c.fail(field+"."+name, "%q is not a pattern", pattern)
			return
		}
	}
	r := rule{pointers: c.pointers(field+".jsonPointers", d.JSONPointers), managers: d.ManagedFieldsManagers}
	for i, text := range d.JQPathExpressions {
		code, err := compile(text)
		if err != nil {
			c.fail(fmt.Sprintf("%s.jqPathExpressions[%d]", field, i), "%q is not jq: %v", text, err)
			continue
		}
		r.queries = append(r.queries, query{text, code})
	}
	if len(d.JSONPointers)+len(d.JQPathExpressions)+len(d.ManagedFieldsManagers) == 0 {
		c.fail(field, "names no field: give jsonPointers, jqPathExpressions or managedFieldsManagers")
	}
	fits := func(pattern, value string) bool {
		matched, _ := path.Match(pattern, value)
		return pattern == "" || matched
	}
	r.fits = func(o object.Object) bool {
		return fits(d.Group, o.ID.Group) && fits(d.Kind, o.ID.Kind) && fits(d.Name, o.ID.Name) && fits(d.Namespace, o.ID.Namespace)
	}
	c.add(r, d)
}

func (c *compiler) pointers(field string, texts []string) [][]string {
	var all [][]string
	for i, text := range texts {
		rest, rooted := strings.CutPrefix(text, "/")
		if !rooted || rest == "" {
			c.fail(fmt.Sprintf("%s[%d]", field, i), "%q is not a JSON pointer to a field: it begins with / and names one", text)
			continue
		}
		parts := strings.Split(rest, "/")
		for n, part := range parts {
			parts[n] = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
		}
		all = append(all, parts)
	}
	return all
}

// compile makes a jq expression ready. Nothing of the runner's can be read by it:
// it knows no environment, no modules and no further input.
func compile(text string) (*gojq.Code, error) {
	if _, err := gojq.Parse(text); err != nil {
		return nil, err
	}
	found, err := gojq.Parse("path(" + text + "\n)")
	if err != nil {
		return nil, err
	}
	return gojq.Compile(found)
}
