package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// List gives the metadata of all objects of a kind whose label has the value
// (an empty value: every object that has the label; an empty label: all), in one
// namespace or, with an empty one, in all. It reads page by page, and begins once
// anew when the server has forgotten where it stood. What did not come whole
// is an error: absence follows from a list only because of that. Of a recalled
// kind (Recall) that is no longer served where it was, it is apply.ErrNoKind.
func (c *Cluster) List(ctx context.Context, kind object.GroupKind, namespace, label, value string) (map[object.ID]plan.Meta, error) {
	resource, err := c.asked(ctx, kind, "")
	if err != nil {
		return nil, err
	}
	path, err := resource.collection(namespace)
	if err != nil {
		return nil, err
	}
	selector := label
	if label != "" && value != "" {
		selector += "=" + value
	}
	found, err := c.pages(ctx, kind, resource, path, selector)
	if errors.Is(err, errGone) {
		found, err = c.pages(ctx, kind, resource, path, selector)
	}
	if errors.Is(err, errGone) {
		return nil, fmt.Errorf("%w: %w", apply.ErrUnanswered, err)
	}
	return found, err
}

// pages reads all pages of a list. The resourceVersion is left unset, which asks
// for the newest state; the server keeps the later pages at that of the first.
//
// https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
func (c *Cluster) pages(ctx context.Context, kind object.GroupKind, resource resource, path, selector string) (map[object.ID]plan.Meta, error) {
	query := url.Values{"limit": {strconv.Itoa(c.pageSize)}}
	if selector != "" {
		query.Set("labelSelector", selector)
	}
	l := listing{kind: kind, found: map[object.ID]plan.Meta{}, protobuf: newProtobuf()}
	for {
		var next string
		err := c.receive(ctx, request{
			verb: verbList, method: http.MethodGet, path: path, query: query, accept: metadataList,
			resource: resource.plural,
		}, func(encoding string, page io.Reader) (err error) {
			next, err = l.add(encoding, page)
			return err
		})
		switch {
		case err != nil:
			return nil, err
		case next == "":
			return l.found, nil
		case next == query.Get("continue"):
			return nil, fmt.Errorf("%w: the list leads in circles", apply.ErrUnanswered)
		}
		query.Set("continue", next)
	}
}

// listing is what came of a list so far.
type listing struct {
	kind     object.GroupKind
	found    map[object.ID]plan.Meta
	protobuf *protobuf
}

// add adds the objects of one page and gives the token for the next, which is
// empty on the last.
func (l *listing) add(encoding string, page io.Reader) (next string, err error) {
	var kind string
	if strings.HasPrefix(encoding, protobufType) {
		kind, next, err = l.protobuf.list(page, l.one)
	} else {
		kind, next, err = l.json(page)
	}
	switch {
	case err != nil:
		return "", err
	case !strings.HasSuffix(kind, "List"):
		// An empty list has no items, so that only the kind says that it is one.
		return "", fmt.Errorf("its kind is %q", clean(kind))
	}
	return next, nil
}

func (l *listing) json(answer io.Reader) (kind, next string, err error) {
	body, err := io.ReadAll(answer)
	if err != nil {
		return "", "", err
	}
	var page struct {
		Kind     string `json:"kind"`
		Metadata struct {
			Continue string `json:"continue"`
		} `json:"metadata"`
		Items []partial `json:"items"`
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return "", "", err
	}
	for i := range page.Items {
		if err := l.one(&page.Items[i].Metadata); err != nil {
			return "", "", err
		}
	}
	return page.Kind, page.Metadata.Continue, nil
}

func (l *listing) one(m *metadata) error {
	if m.UID == "" || m.Name == "" {
		return errors.New("an item has no name or no UID")
	}
	meta, err := m.meta()
	if err != nil {
		return fmt.Errorf("item %s/%s: %w", m.Namespace, m.Name, err)
	}
	l.found[object.ID{Group: l.kind.Group, Kind: l.kind.Kind, Namespace: m.Namespace, Name: m.Name}] = meta
	return nil
}
