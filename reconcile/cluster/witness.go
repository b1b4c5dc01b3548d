package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/render/object"
)

// What a witness carries beside its epoch. None of it is a mark of ours: nothing
// may take the witness for an object of an app.
const (
	witnessLabel      = "tidemark.dev/witness"
	lineageAnnotation = "tidemark.dev/lineage"
	stateAnnotation   = "tidemark.dev/state"
)

// Witness is the Lease in the cluster that remembers one ledger: its lineage in
// an annotation, its newest epoch as leaseTransitions, who wrote it last as
// holderIdentity. Nobody waits for it; it is no lock.
type Witness struct {
	cluster         *Cluster
	namespace, name string
	state           string
}

// Witness gives the witness of a ledger. State says to people which one it is; it
// must hold no credentials.
func (c *Cluster) Witness(namespace, name, state string) *Witness {
	return &Witness{cluster: c, namespace: namespace, name: name, state: state}
}

// ID names the Lease.
func (w *Witness) ID() object.ID {
	return object.ID{Group: coordinationv1.GroupName, Kind: "Lease", Namespace: w.namespace, Name: w.name}
}

// The kind is as old as Kubernetes 1.14: it need not be discovered.
func (w *Witness) resource() resource {
	return resource{group: coordinationv1.GroupName, version: "v1", plural: "leases", namespaced: true}
}

// ReadWitness gives what the witness knows, or apply.ErrNotFound.
func (w *Witness) ReadWitness(ctx context.Context) (apply.Witness, error) {
	body, err := w.cluster.get(ctx, w.resource(), w.ID(), wholeJSON)
	if err != nil {
		return apply.Witness{}, err
	}
	var lease coordinationv1.Lease
	if err := json.Unmarshal(body, &lease); err != nil {
		return apply.Witness{}, fmt.Errorf("%w: decode the witness: %w", apply.ErrUnanswered, err)
	}
	known := apply.Witness{Lineage: lease.Annotations[lineageAnnotation], Version: lease.ResourceVersion}
	if epoch := lease.Spec.LeaseTransitions; epoch != nil && *epoch > 0 {
		known.Epoch = uint64(*epoch)
	}
	if holder := lease.Spec.HolderIdentity; holder != nil {
		known.Holder = *holder
	}
	return known, nil
}

// WriteWitness makes the witness, when know.Version is empty, or replaces exactly
// that version; otherwise apply.ErrConflict.
func (w *Witness) WriteWitness(ctx context.Context, know apply.Witness) error {
	if know.Epoch > math.MaxInt32 {
		return errors.New("the epoch does not fit into a Lease")
	}
	epoch := int32(know.Epoch)
	now := metav1.NewMicroTime(time.Now()) //nolint:forbidigo // For people: nothing reads it.
	lease := coordinationv1.Lease{
		TypeMeta: metav1.TypeMeta{APIVersion: "coordination.k8s.io/v1", Kind: "Lease"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: w.namespace, Name: w.name, ResourceVersion: know.Version,
			Labels:      map[string]string{"app.kubernetes.io/name": "tidemark", witnessLabel: "true"},
			Annotations: map[string]string{lineageAnnotation: know.Lineage, stateAnnotation: w.state},
		},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &know.Holder, LeaseTransitions: &epoch, RenewTime: &now},
	}
	body, err := json.Marshal(lease)
	if err != nil {
		return fmt.Errorf("encode the witness: %w", err)
	}
	path, err := w.resource().path(w.ID())
	if err != nil {
		return err
	}
	r := request{
		verb: verbUpdate, method: http.MethodPut, path: path, accept: metadataJSON, contentType: jsonBody, body: body,
		resource: "leases", name: w.name,
	}
	if know.Version == "" {
		r.verb, r.method = verbCreate, http.MethodPost
		r.path = path[:len(path)-len("/"+w.name)]
	}
	_, err = w.cluster.send(ctx, r)
	if errors.Is(err, apply.ErrNotFound) {
		return fmt.Errorf("%w: the witness is gone", apply.ErrConflict)
	}
	return err
}
