package cluster

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
)

// partial is the part of any object that metadata requests give.
type partial struct {
	Metadata metadata `json:"metadata"`
}

type metadata struct {
	Name              string            `json:"name"`
	Namespace         string            `json:"namespace"`
	UID               string            `json:"uid"`
	ResourceVersion   string            `json:"resourceVersion"`
	Generation        int64             `json:"generation"`
	Labels            map[string]string `json:"labels"`
	Annotations       map[string]string `json:"annotations"`
	Finalizers        []string          `json:"finalizers"`
	DeletionTimestamp string            `json:"deletionTimestamp"`
	OwnerReferences   []ownerReference  `json:"ownerReferences"`
	ManagedFields     []managed         `json:"managedFields"`
}

type ownerReference struct {
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	Controller bool   `json:"controller"`
}

// managed is one entry of an object's managedFields.
type managed struct {
	Manager     string          `json:"manager"`
	Operation   string          `json:"operation"`
	Subresource string          `json:"subresource"`
	APIVersion  string          `json:"apiVersion"`
	Time        string          `json:"time"`
	FieldsV1    json.RawMessage `json:"fieldsV1"`
}

// decodeMeta gives the metadata in the answer to a request for one object. An
// answer without a UID is none.
func decodeMeta(body []byte) (plan.Meta, error) {
	var p partial
	decode := json.Unmarshal
	if bytes.HasPrefix(body, []byte(protobufMagic)) {
		decode = func(body []byte, _ any) error { return readObject(&p.Metadata, body) }
	}
	if err := decode(body, &p); err != nil {
		return plan.Meta{}, fmt.Errorf("%w: decode metadata: %w", apply.ErrUnanswered, err)
	}
	if p.Metadata.UID == "" {
		return plan.Meta{}, fmt.Errorf("%w: the answer is not an object", apply.ErrUnanswered)
	}
	return p.Metadata.meta()
}

func (m metadata) meta() (plan.Meta, error) {
	owned, err := m.owned()
	if err != nil {
		return plan.Meta{}, err
	}
	meta := plan.Meta{
		UID:               m.UID,
		ResourceVersion:   m.ResourceVersion,
		Generation:        m.Generation,
		Labels:            m.Labels,
		Annotations:       m.Annotations,
		Finalizers:        m.Finalizers,
		Terminating:       m.DeletionTimestamp != "",
		Owned:             owned,
		ClientSideApplied: slices.ContainsFunc(m.ManagedFields, managed.clientSide),
	}
	for _, entry := range m.ManagedFields {
		meta.Managers = append(meta.Managers, entry.Manager)
	}
	slices.Sort(meta.Managers)
	meta.Managers = slices.Compact(meta.Managers)
	for _, owner := range m.OwnerReferences {
		if owner.Controller {
			meta.Controller = owner.Kind + " " + owner.Name
		}
	}
	return meta, nil
}

// owned digests what the server has noted as ours. There is an entry per API
// version that we applied in; the time is that of the last apply that changed
// the entry, or of another's write that took a field away.
func (m metadata) owned() (string, error) {
	var ours []managed
	for _, entry := range m.ManagedFields {
		if entry.Manager == FieldManager && entry.Operation == "Apply" && entry.Subresource == "" {
			ours = append(ours, entry)
		}
	}
	if len(ours) == 0 {
		return "", nil
	}
	slices.SortFunc(ours, func(a, b managed) int { return cmp.Compare(a.APIVersion, b.APIVersion) })
	var noted []byte
	for _, entry := range ours {
		fields, err := canonical(entry.FieldsV1)
		if err != nil {
			return "", fmt.Errorf("read managed fields: %w", err)
		}
		noted = slices.Grow(noted, len(entry.APIVersion)+len(entry.Time)+len(fields)+3)
		noted = append(append(noted, entry.APIVersion...), '\n')
		noted = append(append(noted, entry.Time...), '\n')
		noted = append(append(noted, fields...), '\n')
	}
	digest := sha256.Sum256(noted)
	return hex.EncodeToString(digest[:]), nil
}

// canonical gives JSON as the server writes it into JSON, whatever it came in:
// without space, and with what HTML gives a meaning to escaped.
func canonical(text []byte) ([]byte, error) {
	plain := true
	for _, b := range text {
		// Any of these may be written, or begin what is, in another way.
		if b <= ' ' || b == '<' || b == '>' || b == '&' || b >= utf8.RuneSelf {
			plain = false
			break
		}
	}
	if plain {
		return text, nil
	}
	var compact, escaped bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return nil, err
	}
	json.HTMLEscape(&escaped, compact.Bytes())
	return escaped.Bytes(), nil
}

// clientSide: the entry is what kubectl apply left, without --server-side.
// Before 1.18 kubectl called itself "kubectl" for everything, and an object that
// is older than managed fields has "before-first-apply": those are recognised by
// the annotation that client-side apply keeps.
func (e managed) clientSide() bool {
	if e.Operation != "Update" || e.Subresource != "" {
		return false
	}
	switch e.Manager {
	case "kubectl-client-side-apply":
		return true
	case "kubectl", "before-first-apply":
		return bytes.Contains(e.FieldsV1, []byte(`"f:kubectl.kubernetes.io/last-applied-configuration"`))
	default:
		return false
	}
}
