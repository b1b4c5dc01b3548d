package faults_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"tidemark.dev/tidemark/tests/servers"
)

// store is a real server of objects, as worlds use it.
type store struct {
	name   string
	target servers.ProxyOptions
	env    []string
	// ttl is the shortest lease that is allowed there.
	ttl string
	// url gives the state URL of a ledger, with the server at an address.
	url func(address, prefix string) string
	// content gives every object of a ledger by its name.
	content func(ctx context.Context, prefix string) (map[string][]byte, error)
	// clear removes every object of a ledger.
	clear func(ctx context.Context, prefix string) error
	// object gives the name, in the bucket, that a request is about, and whether it writes it.
	object func(*http.Request) (name string, write bool)
	// secrets must be seen nowhere.
	secrets []string
}

func (c *cast) store(name string) (*store, error) {
	switch name {
	case "s3":
		s3, err := c.s3()
		if err != nil {
			return nil, err
		}
		return s3Store(s3), nil
	case "gcs":
		gcs, err := c.gcs()
		if err != nil {
			return nil, err
		}
		return gcsStore(gcs), nil
	}
	return dirStore(filepath.Join(c.dir, "states")), nil
}

func s3Store(s3 *servers.S3) *store {
	return &store{
		name: "s3", ttl: "3s", target: servers.ProxyOptions{Target: s3.URL},
		env:     []string{"AWS_ACCESS_KEY_ID=" + s3.AccessKey, "AWS_SECRET_ACCESS_KEY=" + s3.SecretKey},
		secrets: []string{s3.SecretKey},
		url: func(address, prefix string) string {
			query := url.Values{"endpoint": {address}, "region": {s3.Region}, "path-style": {"true"}}
			return "s3://" + s3.Bucket + "/" + prefix + "?" + query.Encode()
		},
		content: func(_ context.Context, prefix string) (map[string][]byte, error) {
			return files(filepath.Join(s3.Dir, prefix))
		},
		clear: func(_ context.Context, prefix string) error { return os.RemoveAll(filepath.Join(s3.Dir, prefix)) },
		object: func(r *http.Request) (string, bool) {
			return strings.TrimPrefix(r.URL.Path, "/"+s3.Bucket+"/"), r.Method == http.MethodPut
		},
	}
}

func gcsStore(gcs *servers.GCS) *store {
	return &store{
		// The server tells by the host what a path means.
		name: "gcs", ttl: "10s", target: servers.ProxyOptions{Target: gcs.URL, RewriteHost: true},
		url: func(address, prefix string) string {
			return "gs://" + gcs.Bucket + "/" + prefix + "?" + url.Values{"endpoint": {address}}.Encode()
		},
		content: func(ctx context.Context, prefix string) (map[string][]byte, error) { return objects(ctx, gcs, prefix) },
		clear:   func(ctx context.Context, prefix string) error { return forget(ctx, gcs, prefix) },
		object: func(r *http.Request) (string, bool) {
			if name := r.URL.Query().Get("name"); r.Method == http.MethodPost && name != "" {
				return name, true
			}
			_, name, found := strings.Cut(r.URL.Path, "/o/")
			if !found {
				name = strings.TrimPrefix(r.URL.Path, "/"+gcs.Bucket+"/")
			}
			return name, false
		},
	}
}

// dirStore keeps ledgers below a folder, to which no proxy leads.
func dirStore(dir string) *store {
	return &store{
		name: "dir", ttl: "3s",
		url: func(_, prefix string) string { return "file://" + filepath.Join(dir, prefix) },
		content: func(_ context.Context, prefix string) (map[string][]byte, error) {
			return files(filepath.Join(dir, prefix))
		},
		clear: func(_ context.Context, prefix string) error { return os.RemoveAll(filepath.Join(dir, prefix)) },
	}
}

// files reads a folder whole; one that is not there is empty.
func files(dir string) (map[string][]byte, error) {
	all := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // or it has just gone
		case err != nil:
			return err
		case !entry.Type().IsRegular():
			return nil
		}
		data, err := os.ReadFile(path)
		if name, within := strings.CutPrefix(path, dir+"/"); within && err == nil {
			all[name] = data
		}
		return err
	})
	return all, err
}

// objects reads all that lies below a prefix.
func objects(ctx context.Context, gcs *servers.GCS, prefix string) (map[string][]byte, error) {
	all := map[string][]byte{}
	names, err := listed(ctx, gcs, prefix)
	for _, name := range names {
		data, err := ask(ctx, gcs, http.MethodGet, "/"+url.PathEscape(name)+"?alt=media")
		if err != nil {
			return nil, err
		}
		all[strings.TrimPrefix(name, prefix+"/")] = data
	}
	return all, err
}

// forget removes all that lies below a prefix: the server goes through every object that it holds, at each request.
func forget(ctx context.Context, gcs *servers.GCS, prefix string) error {
	names, err := listed(ctx, gcs, prefix)
	for _, name := range names {
		_, failed := ask(ctx, gcs, http.MethodDelete, "/"+url.PathEscape(name))
		err = errors.Join(err, failed)
	}
	return err
}

func listed(ctx context.Context, gcs *servers.GCS, prefix string) ([]string, error) {
	answer, err := ask(ctx, gcs, http.MethodGet, "?prefix="+url.QueryEscape(prefix+"/"))
	if err != nil {
		return nil, err
	}
	var list struct{ Items []struct{ Name string } }
	if err := json.Unmarshal(answer, &list); err != nil {
		return nil, err
	}
	var names []string
	for _, item := range list.Items {
		names = append(names, item.Name)
	}
	return names, nil
}

// ask sends one request about the objects of the bucket.
func ask(ctx context.Context, gcs *servers.GCS, method, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, gcs.URL+"/storage/v1/b/"+gcs.Bucket+"/o"+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, response.Status, body)
	}
	return body, err
}

// written gives the object in the body of a request that writes one: GCS is sent its metadata beside it.
func written(contentType string, body []byte) []byte {
	kind, parameters, err := mime.ParseMediaType(contentType)
	if err != nil || !strings.HasPrefix(kind, "multipart/") {
		return body
	}
	parts := multipart.NewReader(bytes.NewReader(body), parameters["boundary"])
	var last []byte
	for {
		part, err := parts.NextPart()
		if err != nil {
			return last
		}
		if last, err = io.ReadAll(part); err != nil {
			return nil
		}
	}
}
