package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/render/object"
)

// The server establishes a definition within a fraction of a second; one that
// it never does is asked about once a second until the context ends.
const (
	firstWait = 50 * time.Millisecond
	lastWait  = time.Second
)

// Established waits until the CustomResourceDefinitions of these names are
// established and discovery gives their kinds, and keeps what discovery gave. A
// definition whose names another one has taken is an apply.ErrRejected at once.
// The wait ends with the context, which the caller must bound: the error then
// names each definition that is missing and what its conditions say.
func (c *Cluster) Established(ctx context.Context, names []string) error {
	waiting := slices.Clone(names)
	slices.Sort(waiting)
	waiting = slices.Compact(waiting)
	var definitions []definition
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		var reasons []error
		var still []string
		for _, name := range waiting {
			d, err := c.definition(ctx, name)
			if err == nil {
				err = d.established()
			}
			switch {
			case err == nil:
				definitions = append(definitions, d)
			case errors.Is(err, errPending), errors.Is(err, apply.ErrNotFound):
				still = append(still, name)
				reasons = append(reasons, fmt.Errorf("CustomResourceDefinition %s: %w", name, err))
			default:
				return fmt.Errorf("CustomResourceDefinition %s: %w", name, err)
			}
		}
		waiting = still
		if len(waiting) == 0 {
			k, err := c.discover(ctx, true)
			if err != nil {
				return err
			}
			for _, d := range definitions {
				if version := d.unserved(k); version != "" {
					reasons = append(reasons, fmt.Errorf("CustomResourceDefinition %s: version %s is not in discovery yet", d.Metadata.Name, version))
				}
			}
			if len(reasons) == 0 {
				return nil
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(append(reasons, fmt.Errorf("wait until served: %w", context.Cause(ctx)))...)
		case <-timer.C:
		}
	}
}

// errPending: the server has not come to it yet.
var errPending = errors.New("not established")

// definition is what matters here of a CustomResourceDefinition.
type definition struct {
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		Group string `json:"group"`
		Names struct {
			Kind string `json:"kind"`
		} `json:"names"`
		Versions []struct {
			Name   string `json:"name"`
			Served bool   `json:"served"`
		} `json:"versions"`
	} `json:"spec"`
	Status struct {
		Conditions []struct {
			Type    string `json:"type"`
			Status  string `json:"status"`
			Message string `json:"message"`
		} `json:"conditions"`
	} `json:"status"`
}

func (c *Cluster) definition(ctx context.Context, name string) (definition, error) {
	definitions := resource{group: "apiextensions.k8s.io", version: "v1", plural: "customresourcedefinitions"}
	path, err := definitions.path(object.ID{Name: name})
	if err != nil {
		return definition{}, err
	}
	body, err := c.send(ctx, request{
		verb: verbGet, method: http.MethodGet, path: path,
		resource: definitions.plural, name: name,
	})
	if err != nil {
		return definition{}, err
	}
	var d definition
	if err := json.Unmarshal(body, &d); err != nil {
		return definition{}, fmt.Errorf("%w: decode: %w", apply.ErrUnanswered, err)
	}
	return d, nil
}

// established gives nil when the server has taken the definition up, errPending
// when it may yet, and apply.ErrRejected when its names are another's.
func (d definition) established() error {
	var established bool
	var said string
	for _, condition := range d.Status.Conditions {
		switch {
		case condition.Type == "NamesAccepted" && condition.Status == "False":
			return fmt.Errorf("%w: names not accepted: %s", apply.ErrRejected, clean(condition.Message))
		case condition.Type == "Established" && condition.Status == "True":
			established = true
		case condition.Type == "Established", condition.Type == "Terminating" && condition.Status == "True":
			said = ": " + clean(condition.Message)
		}
	}
	if !established {
		return fmt.Errorf("%w%s", errPending, said)
	}
	return nil
}

// unserved gives a version that is to be served and that discovery lacks; empty
// when there is none.
func (d definition) unserved(k *known) string {
	kind := object.GroupKind{Group: d.Spec.Group, Kind: d.Spec.Names.Kind}
	for _, v := range d.Spec.Versions {
		if _, ok := k.paths[kind][v.Name]; v.Served && !ok {
			return v.Name
		}
	}
	return ""
}
