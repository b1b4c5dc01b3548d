package servers

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
)

// Snapshot reads every object of every kind that the server can list, and keys it "group|kind|namespace|name". Groups
// whose backend does not answer are left out. Each kind is read once, in its preferred version; Events, which are served
// in two groups, come twice.
func (c *Client) Snapshot(ctx context.Context) (map[string]json.RawMessage, error) {
	all := map[string]json.RawMessage{}
	for _, root := range []string{"/api", "/apis"} {
		kinds, err := c.kinds(ctx, root)
		if err != nil {
			return nil, err
		}
		for _, k := range kinds {
			if err := c.list(ctx, k, all); err != nil {
				return nil, fmt.Errorf("snapshot: %w", err)
			}
		}
	}
	return all, nil
}

// kind is one listable resource of the server.
type kind struct {
	path       string // of the collection
	group      string
	apiVersion string
	name       string
}

func (c *Client) kinds(ctx context.Context, root string) ([]kind, error) {
	const accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
	status, body, err := c.do(ctx, http.MethodGet, root, accept, "", nil)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, &StatusError{Request: "GET " + root, Status: status, Body: body}
	}
	var groups struct {
		Items []struct {
			Metadata struct{ Name string }
			Versions []struct {
				Version   string
				Freshness string
				Resources []struct {
					Resource     string
					ResponseKind struct{ Kind string }
					Verbs        []string
				}
			}
		}
	}
	if err := json.Unmarshal(body, &groups); err != nil {
		return nil, fmt.Errorf("decode discovery of %s: %w", root, err)
	}
	var found []kind
	for _, group := range groups.Items {
		seen := map[string]bool{}
		for _, version := range group.Versions { // the preferred one comes first
			groupVersion := version.Version
			if group.Metadata.Name != "" {
				groupVersion = group.Metadata.Name + "/" + version.Version
			}
			for _, r := range version.Resources {
				// Component statuses are no objects: the server asks other programs for them.
				known := seen[r.Resource] || r.Resource == "componentstatuses"
				if known || version.Freshness == "Stale" || !slices.Contains(r.Verbs, "list") {
					continue
				}
				seen[r.Resource] = true
				found = append(found, kind{
					path:  root + "/" + groupVersion + "/" + r.Resource,
					group: group.Metadata.Name, apiVersion: groupVersion, name: r.ResponseKind.Kind,
				})
			}
		}
	}
	return found, nil
}

func (c *Client) list(ctx context.Context, k kind, into map[string]json.RawMessage) error {
	query := url.Values{"limit": {"500"}}
	for {
		path := k.path + "?" + query.Encode()
		status, body, err := c.Do(ctx, http.MethodGet, path, "", nil)
		if err != nil {
			return err
		}
		switch status {
		case http.StatusOK:
		case http.StatusNotFound, http.StatusServiceUnavailable: // the kind or its backend has just gone
			return nil
		default:
			return &StatusError{Request: "GET " + path, Status: status, Body: body}
		}
		var page struct {
			Metadata struct{ Continue string }
			Items    []map[string]json.RawMessage
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return fmt.Errorf("decode %s: %w", path, err)
		}
		for _, item := range page.Items {
			if err := k.add(item, into); err != nil {
				return fmt.Errorf("decode %s: %w", path, err)
			}
		}
		if page.Metadata.Continue == "" {
			return nil
		}
		query.Set("continue", page.Metadata.Continue)
	}
}

func (k kind) add(item map[string]json.RawMessage, into map[string]json.RawMessage) error {
	var metadata struct{ Namespace, Name string }
	if err := json.Unmarshal(item["metadata"], &metadata); err != nil {
		return err
	}
	// Items of built-in lists do not say what they are.
	item["apiVersion"], item["kind"] = quoted(k.apiVersion), quoted(k.name)
	object, err := json.Marshal(item)
	into[k.group+"|"+k.name+"|"+metadata.Namespace+"|"+metadata.Name] = object
	return err
}

func quoted(s string) json.RawMessage { return json.RawMessage(`"` + s + `"`) }
