package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"path/filepath"
	"strings"

	"tidemark.dev/tidemark/cmd/internal/config"
	"tidemark.dev/tidemark/reconcile/cluster"
	"tidemark.dev/tidemark/state/dir"
	"tidemark.dev/tidemark/state/gcs"
	"tidemark.dev/tidemark/state/s3"
)

// defaultWitnessNamespace is where witnesses stand when nothing is said: it
// exists in every cluster, and others keep their leases there too.
const defaultWitnessNamespace = "kube-system"

// Witness gives the object in the target cluster that remembers the ledger of
// this session. Nothing is sent yet.
func (s *Session) Witness(ctx context.Context) (*cluster.Witness, error) {
	target, err := s.Cluster(ctx)
	if err != nil {
		return nil, err
	}
	namespace := s.settings.WitnessNamespace
	if namespace == "" {
		namespace = s.local.Cluster.WitnessNamespace
	}
	if namespace == "" {
		namespace = defaultWitnessNamespace
	}
	place := s.statePlace()
	sum := sha256.Sum256([]byte(place))
	return target.Witness(namespace, "tidemark-"+hex.EncodeToString(sum[:8]), place), nil
}

// statePlace names the place of the state of this session.
func (s *Session) statePlace() string {
	place, err := s.env.place(s.stateURL(), s.local.StateOptions)
	if err != nil {
		return s.stateURL() // No store can be opened there.
	}
	return place
}

// place names the place of a state in one way, however its URL is written:
// without what only says how it is reached, and without a credential.
func (e Env) place(raw string, options config.StateOptions) (string, error) {
	at := func(scheme, bucket, prefix string, endpoints ...string) string {
		place := strings.TrimRight(scheme+"://"+bucket+"/"+strings.Trim(prefix, "/"), "/")
		for _, endpoint := range endpoints {
			if u, err := url.Parse(endpoint); err == nil && endpoint != "" {
				u.User, u.RawQuery = nil, ""
				return place + " at " + strings.TrimRight(strings.ToLower(u.String()), "/")
			}
		}
		return place
	}
	scheme, _, hasScheme := strings.Cut(raw, "://")
	switch {
	case !hasScheme:
		path, err := filepath.Abs(raw)
		return "file://" + path, err
	case scheme == "file":
		o, err := dir.ParseURL(raw)
		return "file://" + filepath.Clean(o.Path), err
	case scheme == "s3":
		o, err := s3.ParseURL(raw)
		return at("s3", o.Bucket, o.Prefix, o.Endpoint, options.S3.Endpoint, e.Get("AWS_ENDPOINT_URL_S3"), e.Get("AWS_ENDPOINT_URL")), err
	case scheme == "gs":
		o, err := gcs.ParseURL(raw)
		return at("gs", o.Bucket, o.Prefix, o.Endpoint, options.GCS.Endpoint, e.Get("STORAGE_EMULATOR_HOST")), err
	}
	return "", errScheme(scheme)
}
