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
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/health"
	"tidemark.dev/tidemark/render/object"
)

const (
	// watchFor is how long one stream is asked to last; then the next takes up
	// where it ended.
	watchFor = 4 * time.Minute
	// watchPause is the least time between two requests of one watch, and
	// watchLongest how long it waits at most for a server that does not answer.
	watchPause   = time.Second
	watchLongest = 15 * time.Second
)

// secrets is the kind of which no answer may be repeated.
var secrets = object.GroupKind{Kind: "Secret"} //nolint:gochecknoglobals // a constant in all but syntax

// Watch shows the objects of a scope: all that there are, and then whatever comes
// of them, until ctx ends, whose cause it gives. Streams that end or break are
// taken up, and where the server has forgotten what came since, everything is
// shown anew; so tell always comes to know the newest state. It is called from one
// goroutine at a time.
//
// It ends with an error of package apply where asking again would not help: a
// permission is missing (apply.ErrForbidden), the kind is not served
// (apply.ErrNoKind).
//
// https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
func (c *Cluster) Watch(ctx context.Context, of health.Scope, tell func(health.Sight)) error {
	for failed := 0; ; failed++ {
		since, err := c.show(ctx, of, tell)
		for err == nil {
			failed = 0
			if since, err = c.follow(ctx, of, since, tell); err == nil {
				err = repose(ctx, watchPause)
			}
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !errors.Is(err, errGone) && !errors.Is(err, apply.ErrUnanswered) && !errors.Is(err, apply.ErrUnreachable) && !isBusy(err):
			return fmt.Errorf("watch %s: %w", of.Kind, err)
		}
		if err := repose(ctx, min(watchPause<<min(failed, 8), watchLongest)); err != nil {
			return err
		}
	}
}

func repose(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func isBusy(err error) bool {
	_, busy := errors.AsType[*apply.BusyError](err)
	return busy
}

// watched gives where a scope is found, and what selects it.
func (c *Cluster) watched(ctx context.Context, of health.Scope) (resource, string, url.Values, error) {
	resource, err := c.asked(ctx, of.Kind, of.Version)
	if err != nil {
		return resource, "", nil, err
	}
	path, err := resource.collection(of.Namespace)
	if err != nil {
		return resource, "", nil, err
	}
	query := url.Values{}
	if of.Label != "" {
		query.Set("labelSelector", of.Label+"="+of.Value)
	}
	if of.Name != "" {
		if err := segment(of.Name); err != nil {
			return resource, "", nil, err
		}
		query.Set("fieldSelector", "metadata.name="+of.Name)
	}
	return resource, path, query, nil
}

// show shows all objects that there are, and gives the version to follow from.
func (c *Cluster) show(ctx context.Context, of health.Scope, tell func(health.Sight)) (since string, err error) {
	resource, path, query, err := c.watched(ctx, of)
	if err != nil {
		return "", err
	}
	query.Set("limit", strconv.Itoa(c.pageSize))
	all := health.Sight{Anew: true}
	for {
		body, err := c.send(ctx, request{
			verb: verbList, method: http.MethodGet, path: path, query: query,
			resource: resource.plural, discreet: of.Kind == secrets,
		})
		if err != nil {
			return "", err
		}
		items, metadata, err := wholeList(of.Kind.Kind, body)
		if err != nil {
			return "", err
		}
		all.Objects = append(all.Objects, items...)
		if metadata.Continue == "" {
			tell(all)
			return metadata.ResourceVersion, nil
		}
		query.Set("continue", metadata.Continue)
	}
}

// wholeList reads one page of whole objects.
func wholeList(kind string, body []byte) (items []map[string]any, page metav1.ListMeta, err error) {
	list, err := decodeContent(body)
	if err != nil {
		return nil, page, err
	}
	var envelope struct {
		Metadata metav1.ListMeta `json:"metadata"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil || envelope.Metadata.ResourceVersion == "" {
		return nil, page, fmt.Errorf("%w: the answer is not a list", apply.ErrUnanswered)
	}
	elements, _ := list["items"].([]any)
	for _, element := range elements {
		item, ok := element.(map[string]any)
		if !ok {
			return nil, page, fmt.Errorf("%w: the answer is not a list of objects", apply.ErrUnanswered)
		}
		// The items of a list do not repeat what they are.
		item["apiVersion"], item["kind"] = list["apiVersion"], kind
		items = append(items, lean(item))
	}
	return items, envelope.Metadata, nil
}

// follow shows what comes after a version, until the stream ends, and gives the
// version to go on from. Bookmarks keep that new where little happens.
func (c *Cluster) follow(ctx context.Context, of health.Scope, since string, tell func(health.Sight)) (string, error) {
	resource, path, query, err := c.watched(ctx, of)
	if err != nil {
		return since, err
	}
	query.Set("watch", "1")
	query.Set("allowWatchBookmarks", "true")
	query.Set("resourceVersion", since)
	query.Set("timeoutSeconds", strconv.Itoa(int(watchFor/time.Second)))
	err = c.receive(ctx, request{
		verb: verbWatch, method: http.MethodGet, path: path, query: query, limit: watchFor + c.timeout,
		resource: resource.plural, discreet: of.Kind == secrets,
	}, func(_ string, stream io.Reader) error {
		for events := json.NewDecoder(stream); ; {
			var event struct {
				Type   string          `json:"type"`
				Object json.RawMessage `json:"object"`
			}
			if err := events.Decode(&event); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			if event.Type == "ERROR" {
				return ended(event.Object)
			}
			content, meta, err := sighted(event.Object)
			if err != nil {
				return err
			}
			since = meta.ResourceVersion
			switch event.Type {
			case "ADDED", "MODIFIED":
				tell(health.Sight{Objects: []map[string]any{content}})
			case "DELETED":
				tell(health.Sight{Gone: []object.ID{{Group: of.Kind.Group, Kind: of.Kind.Kind, Namespace: meta.Namespace, Name: meta.Name}}})
			}
		}
	})
	return since, err
}

// sighted reads one object of a stream.
func sighted(body []byte) (map[string]any, metadata, error) {
	content, err := decodeContent(body)
	if err != nil {
		return nil, metadata{}, err
	}
	var object partial
	if err := json.Unmarshal(body, &object); err != nil || object.Metadata.ResourceVersion == "" {
		return nil, metadata{}, errors.New("an event has no object")
	}
	return lean(content), object.Metadata, nil
}

// ended is why the server ends a stream.
func ended(body []byte) error {
	status := statusIn(body)
	if status.Code == http.StatusGone {
		return errGone
	}
	return fmt.Errorf("the server ended the watch: %s", clean(status.Message))
}

// lean takes out what nobody judges by, and what is often half of an object.
func lean(content map[string]any) map[string]any {
	if metadata, ok := content["metadata"].(map[string]any); ok {
		delete(metadata, "managedFields")
	}
	return content
}
