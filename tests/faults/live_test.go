package faults_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/yaml"

	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/tests/servers"
)

// resource is where objects of a kind are served.
type resource struct {
	group, version, plural, kind string
	global                       bool
}

// resources are those of which the scenarios have objects; $W in a group is the world's name.
var resources = []resource{
	{"", "v1", "configmaps", "ConfigMap", false},
	{"", "v1", "secrets", "Secret", false},
	{"", "v1", "services", "Service", false},
	{"apps", "v1", "deployments", "Deployment", false},
	{"apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", true},
	{"$W.example.test", "v1", "tides", "Tide", false},
}

// collection gives the path of all objects of the kind, in all namespaces.
func (r resource) collection(world string) string {
	if r.group == "" {
		return "/api/" + r.version + "/" + r.plural
	}
	return "/apis/" + strings.ReplaceAll(r.group, "$W", world) + "/" + r.version + "/" + r.plural
}

// mine gives the paths by which everything of the kind that a world has can be deleted.
func (r resource) mine(world string) []string {
	path := r.collection(world)
	switch {
	case r.global:
		return []string{path + "/tides." + world + ".example.test"}
	case strings.Contains(r.group, "$W"):
		return nil // they go with their definition
	}
	root, plural := path[:strings.LastIndex(path, "/")], r.plural
	return []string{root + "/namespaces/" + world + "-a/" + plural, root + "/namespaces/" + world + "-b/" + plural, root + "/namespaces/" + world + "-c/" + plural}
}

// meta is what identifies an object, in whatever form it comes.
type meta struct {
	APIVersion string
	Kind       string
	Metadata   struct {
		Name, Namespace, UID, ResourceVersion string
		Labels, Annotations                   map[string]string
		OwnerReferences                       []struct{ Controller bool }
	}
}

func (m meta) id() object.ID {
	group, _, found := strings.Cut(m.APIVersion, "/")
	if !found {
		group = ""
	}
	return object.ID{Group: group, Kind: m.Kind, Namespace: m.Metadata.Namespace, Name: m.Metadata.Name}
}

func identify(data []byte) (object.ID, error) {
	var m meta
	err := json.Unmarshal(data, &m)
	return m.id(), err
}

// ours gives the live objects that are of the ledger with the lineage (DESIGN §6): its label, and an annotation that
// names the object itself.
func (w *world) ours(ctx context.Context, lineage string) (map[object.ID]json.RawMessage, error) {
	found := map[object.ID]json.RawMessage{}
	sum := sha256.Sum256([]byte(lineage))
	selector := "?" + url.Values{"labelSelector": {object.LabelLedger + "=" + hex.EncodeToString(sum[:16])}}.Encode()
	for _, r := range resources {
		status, body, err := w.cluster.Do(ctx, http.MethodGet, r.collection(w.name)+selector, "", nil)
		for ; err == nil && status == http.StatusTooManyRequests; status, body, err = w.cluster.Do(ctx, http.MethodGet, r.collection(w.name)+selector, "", nil) {
			time.Sleep(100 * time.Millisecond) // the kind was defined just now
		}
		if err != nil {
			return nil, err
		}
		if status == http.StatusNotFound && strings.Contains(r.group, "$W") {
			continue
		}
		if status != http.StatusOK {
			return nil, &servers.StatusError{Request: "list " + r.plural, Status: status, Body: body}
		}
		var list struct{ Items []json.RawMessage }
		if err := json.Unmarshal(body, &list); err != nil {
			return nil, err
		}
		for _, item := range list.Items {
			var m meta
			if err := json.Unmarshal(item, &m); err != nil {
				return nil, err
			}
			id := m.id()
			// Items of lists do not say what they are.
			id.Group, id.Kind = strings.ReplaceAll(r.group, "$W", w.name), r.kind
			if m.Metadata.Annotations[object.AnnotationID] == id.Mark() && len(m.Metadata.OwnerReferences) == 0 {
				found[id] = item
			}
		}
	}
	return found, nil
}

// desired gives what a commit wants, by the world's own reading of the files.
func (w *world) desired(commit int) (map[object.ID]map[string]any, error) {
	wanted := map[object.ID]map[string]any{}
	for _, text := range w.scenario.trees[commit] {
		for document := range strings.SplitSeq(w.text(text), "\n---\n") {
			var fields map[string]any
			if err := yaml.Unmarshal([]byte(document), &fields); err != nil {
				return nil, err
			}
			data, err := json.Marshal(fields)
			if err != nil {
				return nil, err
			}
			id, err := identify(data)
			if err != nil {
				return nil, err
			}
			if id.Namespace == "" && id.Kind != "CustomResourceDefinition" {
				id.Namespace = w.name + "-a"
			}
			wanted[id] = fields
		}
	}
	return wanted, nil
}

// holds says whether the live value has everything that the wanted one has.
func holds(live, wanted any) bool {
	switch wanted := wanted.(type) {
	case map[string]any:
		fields, ok := live.(map[string]any)
		for key, value := range wanted {
			// The server keeps it in another field, and nobody compares what is secret.
			if key != "stringData" && (!ok || !holds(fields[key], value)) {
				return false
			}
		}
		return true
	case []any:
		items, ok := live.([]any)
		if !ok || len(items) != len(wanted) {
			return false
		}
		for i := range wanted {
			if !holds(items[i], wanted[i]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(live, wanted)
}

// arrived checks that what is live of ours is what the commit wants, no more and no less.
func (w *world) arrived(live map[object.ID]json.RawMessage, commit int) error {
	wanted, err := w.desired(commit)
	if err != nil {
		return err
	}
	var errs []error
	for id, fields := range wanted {
		var got map[string]any
		if data, found := live[id]; !found {
			errs = append(errs, fmt.Errorf("%s is wanted, and not there", id))
		} else if err := json.Unmarshal(data, &got); err != nil {
			errs = append(errs, err)
		} else if delete(fields, "apiVersion"); !holds(got, without(fields, "kind")) {
			errs = append(errs, fmt.Errorf("%s is %s, not what is wanted: %v", id, data, fields))
		}
	}
	for id := range live {
		if wanted[id] == nil {
			errs = append(errs, fmt.Errorf("%s is there, and not wanted", id))
		}
	}
	return errors.Join(errs...)
}

func without(fields map[string]any, key string) map[string]any {
	delete(fields, key)
	return fields
}

// untouched checks that what is none of ours is as it was, to the byte.
func (w *world) untouched(ctx context.Context) error {
	var errs []error
	for path, before := range w.canaries {
		after, err := w.cluster.Get(ctx, path)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
		} else if !bytes.Equal(before, after) {
			errs = append(errs, fmt.Errorf("%s was\n%s\nand is\n%s", path, before, after))
		}
	}
	return errors.Join(errs...)
}

// deletes are the objects that were deleted in the cluster, by whomever, as its audit log has them.
type deletes struct {
	log func() (*servers.ControlPlane, error)

	mu   sync.Mutex
	read int64
	all  []servers.AuditEvent
}

// mark gives where the log ends now.
func (d *deletes) mark() (int, error) {
	all, err := d.since(0)
	return len(all), err
}

// position gives where the audit log itself ends now.
func (d *deletes) position() (int64, error) {
	_, err := d.mark()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.read, err
}

// since gives the deletes since a mark.
func (d *deletes) since(mark int) ([]servers.AuditEvent, error) {
	cluster, err := d.log()
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	events, next, err := cluster.Audit(d.read)
	if err != nil {
		return nil, err
	}
	d.read = next
	for _, e := range events {
		if strings.HasPrefix(e.Verb, "delete") && e.ResponseCode == http.StatusOK && !strings.Contains(e.RequestURI, "dryRun") {
			d.all = append(d.all, e)
		}
	}
	return d.all[mark:], nil
}

// absent gives those of the objects that were deleted at some time since the world began.
func (w *world) absent(ids map[object.ID]bool) ([]object.ID, error) {
	events, err := shared.deletes.since(w.deletes)
	if err != nil {
		return nil, err
	}
	var found []object.ID
	for _, e := range events {
		for _, r := range resources {
			id := object.ID{Group: strings.ReplaceAll(r.group, "$W", w.name), Kind: r.kind, Namespace: e.ObjectRef.Namespace, Name: e.ObjectRef.Name}
			if e.ObjectRef.Resource == r.plural && e.ObjectRef.APIGroup == id.Group && ids[id] {
				found = append(found, id)
			}
		}
	}
	return found, nil
}
