package app

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"tidemark.dev/tidemark/state"
	"tidemark.dev/tidemark/state/dir"
	"tidemark.dev/tidemark/state/gcs"
	"tidemark.dev/tidemark/state/s3"
)

// Ledger opens the ledger. Nothing is read of it yet.
func (s *Session) Ledger(ctx context.Context) (*state.Ledger, error) {
	store, err := s.store(ctx)
	if err != nil {
		return nil, err
	}
	ttl := s.settings.LeaseTTL
	if ttl == 0 {
		ttl = duration(s.local.LeaseTTL)
	}
	if _, ok := store.(*gcs.Store); ok && ttl != 0 && ttl < gcs.MinTTL {
		return nil, &UsageError{Message: fmt.Sprintf("a lease of %s is too short for gs://: at least %s", ttl, gcs.MinTTL)}
	}
	ledger, err := state.Open(store, state.Options{Run: s.Run, Holder: s.env.Holder(), TTL: ttl})
	if err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	return ledger, nil
}

func (s *Session) stateURL() string {
	if s.settings.State != "" {
		return s.settings.State
	}
	return s.local.State
}

func (s *Session) store(ctx context.Context) (state.Store, error) {
	raw := s.stateURL()
	scheme, _, hasScheme := strings.Cut(raw, "://")
	switch {
	case raw == "":
		return nil, &UsageError{
			Message: "no state is given: where Tidemark keeps what it did",
			Hint:    "name a bucket or a directory with --state, TIDEMARK_STATE or state: in the configuration, such as s3://bucket/prefix, gs://bucket/prefix or file:///var/lib/tidemark",
		}
	case !hasScheme:
		path, err := filepath.Abs(raw)
		if err != nil {
			return nil, fmt.Errorf("open state: %w", err)
		}
		return s.directory(ctx, dir.Options{Path: path})
	}
	switch scheme {
	case "file":
		options, err := dir.ParseURL(raw)
		if err != nil {
			return nil, &UsageError{Message: err.Error()}
		}
		return s.directory(ctx, options)
	case "s3":
		return s.bucketS3(ctx, raw)
	case "gs":
		return s.bucketGCS(ctx, raw)
	}
	return nil, errScheme(scheme)
}

func errScheme(scheme string) error {
	return &UsageError{
		Message: fmt.Sprintf("state: %s:// is not a place that Tidemark can keep state in", brief(scheme)),
		Hint:    "use s3://bucket/prefix (also for MinIO and other stores with the S3 protocol), gs://bucket/prefix or file:///directory",
	}
}

// brief keeps a scheme that is no scheme from filling the screen.
func brief(scheme string) string {
	if len(scheme) > 20 {
		return scheme[:20] + "…"
	}
	return scheme
}

func (s *Session) directory(ctx context.Context, options dir.Options) (state.Store, error) {
	store, err := dir.Open(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	return store, nil
}

func (s *Session) bucketS3(ctx context.Context, raw string) (state.Store, error) {
	options, err := s3.ParseURL(raw)
	if err != nil {
		return nil, &UsageError{Message: err.Error()}
	}
	given := s.local.StateOptions.S3
	if options.Region == "" {
		options.Region = given.Region
	}
	if options.Endpoint == "" {
		options.Endpoint = given.Endpoint
	}
	options.PathStyle = options.PathStyle || given.PathStyle
	s.redactVariables("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
	store, err := s3.Open(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	return store, nil
}

func (s *Session) bucketGCS(ctx context.Context, raw string) (state.Store, error) {
	options, err := gcs.ParseURL(raw)
	if err != nil {
		return nil, &UsageError{Message: err.Error()}
	}
	if options.Endpoint == "" {
		options.Endpoint = s.local.StateOptions.GCS.Endpoint
	}
	store, err := gcs.Open(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	return store, nil
}

func (s *Session) redactVariables(names ...string) {
	for _, name := range names {
		s.Redactor.Add(s.env.Get(name))
	}
}
