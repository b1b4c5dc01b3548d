package cluster

import (
	"bytes"
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

// List gives all objects of a kind whose label has the value
// (an empty value: every object that has the label; an empty label: all), in one
// namespace or, with an empty one, in all. It reads page by page, and begins once
// anew when the server has forgotten where it stood. What did not come whole
// is an error: absence follows from a list only because of that. Of a recalled
// kind (Recall) that is no longer served where it was, it is apply.ErrNoKind.
func (c *Cluster) List(ctx context.Context, kind object.GroupKind, namespace, label, value string) (map[object.ID]plan.Listed, error) {
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
func (c *Cluster) pages(ctx context.Context, kind object.GroupKind, resource resource, path, selector string) (map[object.ID]plan.Listed, error) {
	query := url.Values{"limit": {strconv.Itoa(c.pageSize)}}
	if selector != "" {
		query.Set("labelSelector", selector)
	}
	l := listing{kind: kind, found: map[object.ID]plan.Listed{}}
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
	found    map[object.ID]plan.Listed
	protobuf protobuf
	// spaces holds the namespaces, each once.
	spaces map[string]string
}

// add adds the objects of one page and gives the token for the next, which is
// empty on the last.
func (l *listing) add(encoding string, page io.Reader) (next string, err error) {
	var kind string
	if strings.HasPrefix(encoding, protobufType) {
		kind, next, err = l.protobuf.list(page, l.unread)
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
		if err := l.read(&page.Items[i].Metadata); err != nil {
			return "", "", err
		}
	}
	return page.Kind, page.Metadata.Continue, nil
}

// read adds an object of which everything is read.
func (l *listing) read(m *metadata) error {
	meta, err := m.meta()
	if err != nil {
		return fmt.Errorf("item %s/%s: %w", m.Namespace, m.Name, err)
	}
	return l.one(m.Namespace, m.Name, meta.Listed())
}

// unread adds an object of which no more is read than what it is, and whether it
// is as it was.
func (l *listing) unread(message []byte) error {
	var namespace, name, uid, version string
	err := fields(message, func(number int, _ int64, value []byte) error {
		switch number {
		case fieldName:
			name = string(value)
		case fieldNamespace:
			namespace = l.space(value)
		case fieldUID:
			uid = string(value)
		case fieldResourceVersion:
			version = string(value)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return l.one(namespace, name, plan.List(uid, version, unread(bytes.Clone(message))))
}

func (l *listing) one(namespace, name string, listed plan.Listed) error {
	if listed.UID == "" || name == "" {
		return errors.New("an item has no name or no UID")
	}
	l.found[object.ID{Group: l.kind.Group, Kind: l.kind.Kind, Namespace: namespace, Name: name}] = listed
	return nil
}

func (l *listing) space(value []byte) string {
	space, known := l.spaces[string(value)]
	if !known {
		space = string(value)
		if l.spaces == nil {
			l.spaces = map[string]string{}
		}
		l.spaces[space] = space
	}
	return space
}

// unread is an ObjectMeta in protobuf.
type unread []byte

// Meta implements plan.Unread.
func (u unread) Meta() (plan.Meta, error) {
	var m metadata
	if err := readMetadata(&m, u); err != nil {
		return plan.Meta{}, fmt.Errorf("%w: decode metadata: %w", apply.ErrUnanswered, err)
	}
	return m.meta()
}
