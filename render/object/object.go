// Package object holds what a renderer produces and everything after it works
// on: the ID of a Kubernetes object, the Object itself, and the Set of objects
// that an app wants.
//
// Laws: an Object is never edited after it was made; a Set holds an ID once and
// is sorted, so the same objects always give the same bytes and the same
// digest; no digest covers the data of a Secret.
package object

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The marks that Tidemark puts on each object it applies.
const (
	// LabelLedger holds a hash of the ledger's lineage; lists select on it.
	LabelLedger = "tidemark.dev/ledger"
	// LabelApp holds the name of the app that wants the object.
	LabelApp = "tidemark.dev/app"
	// AnnotationID holds the object's own ID.Mark: a copy of the object that
	// carries the labels along does not name itself and so is not ours.
	AnnotationID = "tidemark.dev/id"
	// AnnotationRecovered holds the epoch of the run that fenced the object
	// against late requests of a run before it. It stays.
	AnnotationRecovered = "tidemark.dev/recovered"
)

// Origin says where an object was read: a file in the repository, and the
// number of the document in it, counted from 1 (0 when the file holds one, or
// an engine made the object from several files).
type Origin struct {
	File     string
	Document int
}

// String gives the origin as an error message shows it.
func (o Origin) String() string {
	if o.Document == 0 {
		return o.File
	}
	return fmt.Sprintf("%s (document %d)", o.File, o.Document)
}

// Object is one desired Kubernetes object. It is a value that is never edited:
// the methods that change something return another Object.
type Object struct {
	ID ID
	// Version is the API version without its group: "v1".
	Version string
	Origin  Origin

	content map[string]any
}

// ErrNotObject is the case of a document that is YAML or JSON, but not a
// Kubernetes object.
var ErrNotObject = errors.New("not a Kubernetes object")

// New makes an Object of a decoded manifest, whose numbers are int64 or
// float64. The manifest is kept, not copied, and must not be edited by the
// caller afterwards. Its namespace is taken as written.
//
// A manifest without apiVersion or kind is ErrNotObject. One without a name,
// with generateName, or with malformed metadata is refused with the reason.
func New(content map[string]any, origin Origin) (Object, error) {
	apiVersion, _ := content["apiVersion"].(string)
	kind, _ := content["kind"].(string)
	switch {
	case apiVersion == "":
		return Object{}, fmt.Errorf("%w: apiVersion is missing", ErrNotObject)
	case kind == "":
		return Object{}, fmt.Errorf("%w: kind is missing", ErrNotObject)
	}
	group, version, found := strings.Cut(apiVersion, "/")
	if !found {
		group, version = "", apiVersion
	}
	if version == "" || strings.Contains(version, "/") {
		return Object{}, fmt.Errorf("%w: apiVersion %q is not GROUP/VERSION", ErrNotObject, apiVersion)
	}
	metadata, ok := content["metadata"].(map[string]any)
	if !ok {
		return Object{}, fmt.Errorf("%s: metadata is missing or not a mapping", kind)
	}
	o := Object{ID: ID{Group: group, Kind: kind}, Version: version, Origin: origin, content: content}
	for field, into := range map[string]*string{"name": &o.ID.Name, "namespace": &o.ID.Namespace} {
		switch v := metadata[field].(type) {
		case nil:
		case string:
			*into = v
		default:
			return Object{}, fmt.Errorf("%s: metadata.%s is a %T, not a string", kind, field, v)
		}
	}
	if prefix, generated := metadata["generateName"].(string); generated && prefix != "" && o.ID.Name == "" && o.Annotation("argocd.argoproj.io/hook")+o.Annotation("helm.sh/hook") != "" {
		o.ID.Name = prefix + unnamed
	}
	if _, generated := metadata["generateName"]; generated && o.ID.Name == "" {
		return Object{}, fmt.Errorf("%s: metadata.generateName gives another name on each apply, so that the object could never be compared or pruned; give it a metadata.name", kind)
	}
	if o.ID.Name == "" {
		return Object{}, fmt.Errorf("%s: metadata.name is missing", kind)
	}
	for _, field := range []string{"labels", "annotations"} {
		if err := checkStrings(metadata, field); err != nil {
			return Object{}, fmt.Errorf("%s %s: %w", kind, o.ID.Name, err)
		}
	}
	return o, nil
}

// checkStrings refuses a labels or annotations field that the API server would
// refuse later with a less helpful message.
func checkStrings(metadata map[string]any, field string) error {
	switch values := metadata[field].(type) {
	case nil:
		return nil
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(values)) {
			if _, ok := values[key].(string); !ok && values[key] != nil {
				return fmt.Errorf("metadata.%s[%q] is a %T, not a string: put it in quotes", field, key, values[key])
			}
		}
		return nil
	default:
		return fmt.Errorf("metadata.%s is a %T, not a mapping", field, values)
	}
}

// APIVersion gives the apiVersion as a manifest writes it.
func (o Object) APIVersion() string {
	if o.ID.Group == "" {
		return o.Version
	}
	return o.ID.Group + "/" + o.Version
}

// IsSecret says whether the object's data must not be shown, stored or digested.
func (o Object) IsSecret() bool { return o.ID.Group == "" && o.ID.Kind == "Secret" }

// Content gives the whole manifest. It is shared: the caller must not edit it.
func (o Object) Content() map[string]any { return o.content }

// Label gives the value of one label, empty when the object lacks it.
func (o Object) Label(key string) string { return o.metadataString("labels", key) }

// Annotation gives the value of one annotation, empty when the object lacks it.
func (o Object) Annotation(key string) string { return o.metadataString("annotations", key) }

func (o Object) metadataString(field, key string) string {
	metadata, _ := o.content["metadata"].(map[string]any)
	values, _ := metadata[field].(map[string]any)
	value, _ := values[key].(string)
	return value
}

// unnamed ends the ID of a hook that has only a generateName: no name holds it.
const unnamed = "*"

// Named gives an object that has only the beginning of a name the rest of it; one
// that has a name stays as it is.
func (o Object) Named(rest string) Object {
	prefix, is := strings.CutSuffix(o.ID.Name, unnamed)
	if !is {
		return o
	}
	o = o.WithoutMetadata("generateName")
	o.ID.Name = prefix + rest
	metadata, _ := o.content["metadata"].(map[string]any)
	metadata["name"] = o.ID.Name // WithoutMetadata gave a copy
	return o
}

// WithNamespace gives the object in another namespace; an empty one drops the
// field, as a cluster-scoped object needs it.
func (o Object) WithNamespace(namespace string) Object {
	o.content = maps.Clone(o.content)
	metadata := maps.Clone(o.content["metadata"].(map[string]any))
	if namespace == "" {
		delete(metadata, "namespace")
	} else {
		metadata["namespace"] = namespace
	}
	o.content["metadata"] = metadata
	o.ID.Namespace = namespace
	return o
}

// WithMetadata gives the object with labels and annotations added; a key that
// is there already takes the new value.
func (o Object) WithMetadata(labels, annotations map[string]string) Object {
	o.content = maps.Clone(o.content)
	metadata := maps.Clone(o.content["metadata"].(map[string]any))
	for field, added := range map[string]map[string]string{"labels": labels, "annotations": annotations} {
		if len(added) == 0 {
			continue
		}
		old, _ := metadata[field].(map[string]any)
		values := make(map[string]any, len(old)+len(added))
		maps.Copy(values, old)
		for key, value := range added {
			values[key] = value
		}
		metadata[field] = values
	}
	o.content["metadata"] = metadata
	return o
}

// WithContent gives an object of the same ID, version and origin with another
// manifest, which must name the same object.
func (o Object) WithContent(content map[string]any) Object {
	o.content = content
	return o
}

// Without gives the object without one top-level field, such as status.
func (o Object) Without(field string) Object {
	o.content = maps.Clone(o.content)
	delete(o.content, field)
	return o
}

// WithoutMetadata gives the object without some fields of its metadata.
func (o Object) WithoutMetadata(fields ...string) Object {
	o.content = maps.Clone(o.content)
	metadata := maps.Clone(o.content["metadata"].(map[string]any))
	for _, field := range fields {
		delete(metadata, field)
	}
	o.content["metadata"] = metadata
	return o
}

// JSON gives the manifest as compact JSON with sorted keys: the same manifest,
// the same bytes.
func (o Object) JSON() ([]byte, error) {
	data, err := encode(o.content)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", o.ID, err)
	}
	return data, nil
}

// Digest gives the SHA-256 of the manifest in hexadecimal. The values of a
// Secret are left out, so that two Secrets with the same keys have the same
// digest: it must never be taken as proof that a Secret is unchanged.
func (o Object) Digest() (string, error) {
	data, err := encode(o.Masked().content)
	if err != nil {
		return "", fmt.Errorf("digest %s: %w", o.ID, err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

func encode(content map[string]any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(content); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}
