// Package gcs keeps a ledger in Google Cloud Storage.
//
// GCS takes about one write a second of one object and answers more with 429
// (cloud.google.com/storage/docs/gcs429); so a write of a name waits for a second to pass
// after the one before, and one that was refused for that reason, and not done, is
// repeated. Writes that race are sent at once, since only one of them is done.
package gcs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
	htransport "google.golang.org/api/transport/http"

	"tidemark.dev/tidemark/state"
)

// MinTTL is the shortest lease that leaves room for renewals at one write a
// second.
const MinTTL = 10 * time.Second

// Options say where the store is. Credentials are those that Google's
// libraries find by themselves.
type Options struct {
	Bucket string
	// Prefix is the path of the ledger in the bucket.
	Prefix string
	// Endpoint is the URL of an emulator, without a path; it is sent no
	// credentials.
	Endpoint string
	// Transport carries the requests; nil is the usual one.
	Transport http.RoundTripper
	// Clock spaces the writes out; nil is the machine's.
	Clock state.Clock
}

// Store is a state.Store and state.Sweeper in a bucket.
type Store struct {
	client *storage.Client
	bucket *storage.BucketHandle
	prefix string
	clock  state.Clock

	mu   sync.Mutex
	next map[string]time.Duration // when a name may be written again
}

var (
	_ state.Store   = (*Store)(nil)
	_ state.Sweeper = (*Store)(nil)
)

// ParseURL reads gs://bucket/prefix, with the parameter endpoint for an
// emulator.
func ParseURL(text string) (Options, error) {
	u, err := url.Parse(text)
	if err != nil {
		return Options{}, fmt.Errorf("read state URL: %w", err)
	}
	if u.Scheme != "gs" || u.Host == "" || u.User != nil {
		return Options{}, fmt.Errorf("read state URL %q: it is not gs://bucket/prefix", u.Redacted())
	}
	options := Options{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/")}
	for key, values := range u.Query() {
		if key != "endpoint" {
			return Options{}, fmt.Errorf("read state URL: %q is not endpoint", key)
		}
		options.Endpoint = values[len(values)-1]
	}
	return options, nil
}

// Open finds credentials; nothing is asked of the bucket yet. Missing ones are
// state.ErrRefused.
func Open(ctx context.Context, options Options) (*Store, error) {
	if options.Bucket == "" {
		return nil, errors.New("open gs: no bucket")
	}
	if u, err := url.Parse(options.Endpoint); err != nil || u.User != nil || u.RawQuery != "" {
		// Not repeated: it may hold a credential.
		return nil, errors.New("open gs: the endpoint is not a URL without credentials and parameters")
	}
	base := options.Transport
	if base == nil {
		base = http.DefaultTransport
	}
	base = dated{base}
	with := []option.ClientOption{option.WithScopes(storage.ScopeReadWrite)}
	if options.Endpoint != "" {
		with = []option.ClientOption{option.WithoutAuthentication()}
	}
	transport, err := htransport.NewTransport(ctx, base, with...)
	if err != nil {
		return nil, fmt.Errorf("open gs: %w: %w", state.ErrRefused, err)
	}
	with = []option.ClientOption{option.WithHTTPClient(&http.Client{Transport: transport})}
	if options.Endpoint != "" {
		with = append(with, option.WithEndpoint(strings.TrimSuffix(options.Endpoint, "/")+"/storage/v1/"))
	}
	client, err := storage.NewClient(ctx, with...)
	if err != nil {
		return nil, fmt.Errorf("open gs: %w: %w", state.ErrRefused, err)
	}
	client.SetRetry(storage.WithPolicy(storage.RetryNever))
	s := &Store{
		client: client,
		bucket: client.Bucket(options.Bucket),
		prefix: strings.Trim(options.Prefix, "/"),
		clock:  options.Clock,
		next:   map[string]time.Duration{},
	}
	if s.clock == nil {
		s.clock = state.SystemClock()
	}
	return s, nil
}

// Get is state.Store's.
func (s *Store) Get(ctx context.Context, name string) (state.Blob, error) {
	if err := state.CheckName(name); err != nil {
		return state.Blob{}, err
	}
	ctx, answered := noteDate(ctx)
	reader, err := s.object(name).NewReader(ctx)
	if err != nil {
		return state.Blob{}, certain(err, state.ErrNotFound)
	}
	data, err := io.ReadAll(reader)
	if err := errors.Join(err, reader.Close()); err != nil {
		return state.Blob{}, fmt.Errorf("read %s: %w", name, err)
	}
	return state.Blob{Data: data, Stamp: state.Stamp{
		Version:  version(reader.Attrs.Generation),
		Modified: reader.Attrs.LastModified,
		Now:      answered.date(),
	}}, nil
}

// Create is state.Store's.
func (s *Store) Create(ctx context.Context, name string, data []byte) (state.Stamp, error) {
	// The bucket is what a 404 misses here.
	stamp, err := s.write(ctx, name, data, storage.Conditions{DoesNotExist: true}, state.ErrExists)
	if errors.Is(err, state.ErrNotFound) {
		return state.Stamp{}, fmt.Errorf("%w: %w", state.ErrRefused, err)
	}
	return stamp, err
}

// Swap is state.Store's.
func (s *Store) Swap(ctx context.Context, name string, data []byte, version string) (state.Stamp, error) {
	generation, err := strconv.ParseInt(version, 10, 64)
	if err != nil || generation <= 0 {
		return state.Stamp{}, fmt.Errorf("%s: %w: %q is no generation", name, state.ErrChanged, version)
	}
	return s.write(ctx, name, data, storage.Conditions{GenerationMatch: generation}, state.ErrChanged)
}

// write writes under a condition; unmet is what it means when the condition
// does not hold.
func (s *Store) write(ctx context.Context, name string, data []byte, condition storage.Conditions, unmet error) (state.Stamp, error) {
	if err := state.CheckName(name); err != nil {
		return state.Stamp{}, err
	}
	for pause := interval; ; pause = min(2*pause, longestPause) {
		if err := s.pace(ctx, name); err != nil {
			return state.Stamp{}, err
		}
		stamp, err := s.send(ctx, name, data, condition)
		if status(err) != http.StatusTooManyRequests {
			if status(err) != http.StatusPreconditionFailed {
				s.wrote(name)
			}
			return stamp, certain(err, unmet)
		}
		if s.clock.Sleep(ctx, pause) != nil {
			return state.Stamp{}, err
		}
	}
}

// send writes once.
func (s *Store) send(ctx context.Context, name string, data []byte, condition storage.Conditions) (state.Stamp, error) {
	ctx, answered := noteDate(ctx)
	// Ends what the writer runs beside us, whatever happens.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	writer := s.object(name).If(condition).NewWriter(ctx)
	writer.ChunkSize = 0 // One request, never repeated.
	writer.ContentType = "application/json"
	if _, err := writer.Write(data); err != nil {
		return state.Stamp{}, errors.Join(err, writer.Close())
	}
	if err := writer.Close(); err != nil {
		return state.Stamp{}, err
	}
	attrs := writer.Attrs()
	return state.Stamp{Version: version(attrs.Generation), Modified: attrs.Updated, Now: answered.date()}, nil
}

// List is state.Sweeper's.
func (s *Store) List(ctx context.Context, prefix string) ([]state.Entry, error) {
	var entries []state.Entry
	objects := s.bucket.Objects(ctx, &storage.Query{Prefix: s.key("") + prefix})
	for {
		attrs, err := objects.Next()
		if errors.Is(err, iterator.Done) {
			break
		}
		if err != nil {
			return nil, certain(err, state.ErrNotFound)
		}
		entries = append(entries, state.Entry{
			Name: strings.TrimPrefix(attrs.Name, s.key("")), Size: attrs.Size, Modified: attrs.Updated,
		})
	}
	slices.SortFunc(entries, func(a, b state.Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries, nil
}

// Delete is state.Sweeper's.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := state.CheckName(name); err != nil {
		return err
	}
	err := certain(s.object(name).Delete(ctx), state.ErrChanged)
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	return err
}

func (s *Store) key(name string) string {
	if s.prefix == "" {
		return name
	}
	return s.prefix + "/" + name
}

func (s *Store) object(name string) *storage.ObjectHandle { return s.bucket.Object(s.key(name)) }

func version(generation int64) string { return strconv.FormatInt(generation, 10) }

// status gives the HTTP status that an error carries, or 0.
func status(err error) int {
	if answer, ok := errors.AsType[*googleapi.Error](err); ok {
		return answer.Code
	}
	return 0
}

// certain names what an error of the store says for certain.
func certain(err error, unmet error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, storage.ErrBucketNotExist):
		return fmt.Errorf("%w: %w", state.ErrRefused, err)
	case errors.Is(err, storage.ErrObjectNotExist):
		return fmt.Errorf("%w: %w", state.ErrNotFound, err)
	}
	switch status(err) {
	case http.StatusNotFound:
		return fmt.Errorf("%w: %w", state.ErrNotFound, err)
	case http.StatusPreconditionFailed, http.StatusConflict:
		return fmt.Errorf("%w: %w", unmet, err)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w: %w", state.ErrRefused, err)
	}
	return err
}
