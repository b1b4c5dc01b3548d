package helm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

const (
	// chartLayer is the media type of the layer that holds a packaged chart:
	// https://helm.sh/docs/topics/registries/#helm-chart-manifest.
	chartLayer = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
	// legacyLayer is what Helm before 3.7 wrote.
	legacyLayer = "application/tar+gzip"
	// maxManifest bounds the manifest of a chart, in bytes.
	maxManifest = 1 << 20
	// maxTagPages bounds how many pages of tags are read, of up to 1,000 tags.
	maxTagPages = 50
)

// inRegistry finds a chart in a registry: by digest, by the tag of an exact
// version, or by the newest of all tags.
func (c *Charts) inRegistry(ctx context.Context, s *session, ref ChartRef) (located, error) {
	repository, err := s.registry(ref.Name)
	if err != nil {
		return located{}, err
	}
	reference, version := ref.Digest, ref.Version
	if reference == "" {
		if version, err = s.tag(ctx, repository, ref); err != nil {
			return located{}, err
		}
		// A tag has no "+": Helm writes "_".
		reference = strings.ReplaceAll(version, "+", "_")
	}
	manifest, err := repository.Resolve(ctx, reference)
	if errors.Is(err, errdef.ErrNotFound) {
		return located{}, fmt.Errorf("the registry has no %s", reference)
	}
	if err != nil {
		return located{}, answered(err)
	}
	if ref.Digest != "" && manifest.Digest.String() != ref.Digest {
		return located{}, fmt.Errorf("the registry gives digest %s for %s", manifest.Digest, ref.Digest)
	}
	found := ChartVersion{Repo: ref.Repo, Name: ref.Name, Version: version, Digest: manifest.Digest.String()}
	return located{
		version: found,
		key:     ref.Repo + " " + ref.Name + " " + version + " " + found.Digest,
		fetch: func(ctx context.Context) (ChartVersion, []byte, error) {
			described, data, err := pull(ctx, repository, manifest)
			if err != nil {
				return ChartVersion{}, nil, fmt.Errorf("chart %s %s in %s: %w", ref.Name, version, ref.Repo, err)
			}
			exact := found
			if ref.Digest != "" {
				// The digest decides; the version only has to agree.
				if exact.Version = described.Version; ref.newest([]string{described.Version}) < 0 && ref.Version != "" {
					return ChartVersion{}, nil, fmt.Errorf("chart %s in %s: digest %s is version %s, not %s", ref.Name, ref.Repo, ref.Digest, described.Version, ref.Version)
				}
			}
			return exact, data, nil
		},
	}, nil
}

// registry gives the repository that holds a chart.
func (s *session) registry(name string) (*remote.Repository, error) {
	repository, err := remote.NewRepository(path.Join(s.repo.Host, s.repo.Path, name))
	if err != nil {
		return nil, fmt.Errorf("not the name of a repository in a registry: %w", err)
	}
	repository.PlainHTTP = s.plain
	repository.MaxMetadataBytes = maxManifest
	repository.TagListMaxPages = maxTagPages
	client := &auth.Client{Client: s.client, Cache: auth.NewCache(), Header: http.Header{"User-Agent": {s.agent}}}
	if credential := s.credential(); credential != auth.EmptyCredential {
		client.Credential = auth.StaticCredential(repository.Reference.Registry, credential)
	}
	repository.Client = client
	return repository, nil
}

func (s *session) credential() auth.Credential {
	if s.credentials.BearerToken != "" {
		return auth.Credential{AccessToken: s.credentials.BearerToken}
	}
	return auth.Credential{Username: s.credentials.Username, Password: s.credentials.Password}
}

// tag gives the version that a reference means, asking for all tags only when
// it is a range.
func (s *session) tag(ctx context.Context, repository *remote.Repository, ref ChartRef) (string, error) {
	if version, exact := ref.exact(); exact {
		return version, nil
	}
	var versions []string
	err := repository.Tags(ctx, "", func(tags []string) error {
		for _, tag := range tags {
			versions = append(versions, strings.ReplaceAll(tag, "_", "+"))
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("list its versions: %w", answered(err))
	}
	i := ref.newest(versions)
	if i < 0 {
		return "", fmt.Errorf("none of its %d versions is %s", len(versions), ref.wanted())
	}
	return versions[i], nil
}

// pull fetches the layer with the chart, and what its configuration says about
// it. Both are held against their digests.
func pull(ctx context.Context, repository *remote.Repository, at ocispec.Descriptor) (described ChartVersion, data []byte, err error) {
	text, err := fetchBounded(ctx, repository, at, maxManifest)
	if err != nil {
		return ChartVersion{}, nil, fmt.Errorf("fetch the manifest: %w", err)
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(text, &manifest); err != nil {
		return ChartVersion{}, nil, errors.New("the manifest is not one of the OCI image specification")
	}
	if text, err = fetchBounded(ctx, repository, manifest.Config, maxManifest); err != nil {
		return ChartVersion{}, nil, fmt.Errorf("fetch the configuration: %w", err)
	}
	if err := json.Unmarshal(text, &described); err != nil {
		return ChartVersion{}, nil, errors.New("the configuration is not that of a chart")
	}
	for _, layer := range manifest.Layers {
		if layer.MediaType == chartLayer || layer.MediaType == legacyLayer {
			data, err = fetchBounded(ctx, repository, layer, maxPacked)
			return described, data, err
		}
	}
	return ChartVersion{}, nil, errors.New("it is not a Helm chart: no layer has the media type " + chartLayer)
}

// fetchBounded fetches content of at most so many bytes.
func fetchBounded(ctx context.Context, repository *remote.Repository, at ocispec.Descriptor, most int64) ([]byte, error) {
	if at.Size > most {
		return nil, fmt.Errorf("it is larger than %d MiB", most>>20)
	}
	data, err := content.FetchAll(ctx, repository, at)
	if err != nil {
		return nil, answered(err)
	}
	return data, nil
}

// answered explains an error of a registry without the URL in it.
func answered(err error) error {
	if response, ok := errors.AsType[*errcode.ErrorResponse](err); ok {
		if reason := response.Errors.Error(); len(response.Errors) > 0 && response.StatusCode < 500 {
			return fmt.Errorf("%w: %s", refusal(response.StatusCode), reason)
		}
		return refusal(response.StatusCode)
	}
	return unanswered(err)
}
