package app

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"path/filepath"
	"strings"

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
func (s *Session) Witness() (*cluster.Witness, error) {
	target, err := s.Cluster()
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

// statePlace names the place of the state in one way, however its URL is
// written: without what only says how it is reached, and without a credential.
func (s *Session) statePlace() string {
	raw := s.stateURL()
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
	switch scheme, _, _ := strings.Cut(raw, "://"); scheme {
	case "s3":
		if o, err := s3.ParseURL(raw); err == nil {
			return at("s3", o.Bucket, o.Prefix, o.Endpoint, s.local.StateOptions.S3.Endpoint, s.env.Get("AWS_ENDPOINT_URL_S3"), s.env.Get("AWS_ENDPOINT_URL"))
		}
	case "gs":
		if o, err := gcs.ParseURL(raw); err == nil {
			return at("gs", o.Bucket, o.Prefix, o.Endpoint, s.local.StateOptions.GCS.Endpoint, s.env.Get("STORAGE_EMULATOR_HOST"))
		}
	case "file":
		if o, err := dir.ParseURL(raw); err == nil {
			return "file://" + filepath.Clean(o.Path)
		}
	}
	if path, err := filepath.Abs(raw); err == nil {
		return "file://" + path
	}
	return raw
}
