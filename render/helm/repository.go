package helm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"

	"sigs.k8s.io/yaml"
)

const (
	// maxIndex bounds the index of an HTTP repository, in bytes; the largest
	// public ones have about 25 MiB.
	maxIndex = 64 << 20
	// maxPacked bounds a packaged chart, in bytes.
	maxPacked = 32 << 20
)

// index is the part of an index.yaml that finds a chart:
// https://helm.sh/docs/topics/chart_repository/#the-index-file.
type index struct {
	Entries map[string][]struct {
		Version string   `json:"version"`
		Digest  string   `json:"digest"`
		URLs    []string `json:"urls"`
	} `json:"entries"`
}

// inIndex finds a chart in an HTTP repository.
func (c *Charts) inIndex(ctx context.Context, s *session, ref ChartRef) (located, error) {
	listing, err := c.indexes.do(s.repo.String(), func() (index, error) { return s.index(ctx) })
	if err != nil {
		return located{}, err
	}
	entries, ok := listing.Entries[ref.Name]
	if !ok {
		return located{}, fmt.Errorf("the repository has no chart of that name")
	}
	versions := make([]string, len(entries))
	for i := range entries {
		versions[i] = entries[i].Version
	}
	i := ref.newest(versions)
	if i < 0 {
		return located{}, fmt.Errorf("none of its %d versions is %s", len(versions), ref.wanted())
	}
	entry := entries[i]
	if len(entry.URLs) == 0 {
		return located{}, fmt.Errorf("the index names no URL for version %s", entry.Version)
	}
	at, err := s.relative(entry.URLs[0])
	if err != nil {
		return located{}, fmt.Errorf("version %s: %w", entry.Version, err)
	}
	want := strings.TrimPrefix(strings.ToLower(entry.Digest), "sha256:")
	found := ChartVersion{Repo: ref.Repo, Name: ref.Name, Version: entry.Version}
	if want != "" {
		found.Digest = "sha256:" + want
	}
	if ref.Digest != "" && want != "" && !strings.EqualFold(found.Digest, ref.Digest) {
		return located{}, fmt.Errorf("version %s has digest %s in the index, not %s", entry.Version, found.Digest, ref.Digest)
	}
	return located{
		version: found,
		key:     at.String() + " " + found.Digest + " " + ref.Digest,
		fetch: func(ctx context.Context) (ChartVersion, []byte, error) {
			data, err := s.get(ctx, at, maxPacked)
			if err != nil {
				return ChartVersion{}, nil, err
			}
			sum := sha256.Sum256(data)
			got := "sha256:" + hex.EncodeToString(sum[:])
			for _, expected := range []string{found.Digest, strings.ToLower(ref.Digest)} {
				if expected != "" && got != expected {
					return ChartVersion{}, nil, fmt.Errorf("chart %s %s: %s gives digest %s, and %s is expected", found.Name, found.Version, visible(at), got, expected)
				}
			}
			version := found
			version.Digest = got
			return version, data, nil
		},
	}, nil
}

// wanted gives the version that is asked for, for people.
func (r ChartRef) wanted() string {
	if r.Version == "" {
		return "a release"
	}
	return r.Version
}

func (s *session) index(ctx context.Context) (index, error) {
	at := s.repo.JoinPath("index.yaml")
	data, err := s.get(ctx, at, maxIndex)
	if err != nil {
		return index{}, err
	}
	var listing index
	if err := yaml.Unmarshal(data, &listing); err != nil {
		return index{}, fmt.Errorf("%s is not the index of a chart repository", visible(at))
	}
	return listing, nil
}

// relative gives the URL of a chart as an index writes it, which may be
// relative to the repository. One that leaves HTTPS is refused.
func (s *session) relative(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("the index names something that is no URL")
	}
	base := *s.repo
	base.Path = strings.TrimSuffix(base.Path, "/") + "/"
	at := base.ResolveReference(u)
	if at.Scheme != "https" && (at.Scheme != "http" || s.repo.Scheme == "https") {
		return nil, fmt.Errorf("the index names a URL by %s", at.Scheme)
	}
	return at, nil
}
