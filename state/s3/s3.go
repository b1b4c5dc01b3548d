// Package s3 keeps a ledger in Amazon S3, or in a store that speaks its
// protocol and honours If-None-Match and If-Match on PutObject.
package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"tidemark.dev/tidemark/state"
)

// Options say where the store is and who asks. What is empty comes from where
// the AWS SDK looks for it: environment, shared files, the machine's role.
type Options struct {
	Bucket string
	// Prefix is the path of the ledger in the bucket.
	Prefix string
	Region string
	// Endpoint is the URL of another store than Amazon's.
	Endpoint string
	// PathStyle puts the bucket into the path instead of the host name.
	PathStyle bool
	// AccessKey, SecretKey and SessionToken are static credentials.
	AccessKey, SecretKey, SessionToken string
	// HTTP sends the requests to the bucket; nil is the SDK's client.
	HTTP *http.Client
}

// Store is a state.Store and state.Sweeper in a bucket.
type Store struct {
	client *s3.Client
	bucket string
	prefix string
}

var (
	_ state.Store   = (*Store)(nil)
	_ state.Sweeper = (*Store)(nil)
)

// ParseURL reads s3://bucket/prefix, with the parameters region, endpoint and
// path-style (true or false).
func ParseURL(text string) (Options, error) {
	u, err := url.Parse(text)
	if err != nil {
		return Options{}, fmt.Errorf("read state URL: %w", err)
	}
	if u.Scheme != "s3" || u.Host == "" || u.User != nil {
		return Options{}, fmt.Errorf("read state URL %q: it is not s3://bucket/prefix", u.Redacted())
	}
	options := Options{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/")}
	for key, values := range u.Query() {
		value := values[len(values)-1]
		switch key {
		case "region":
			options.Region = value
		case "endpoint":
			options.Endpoint = value
		case "path-style":
			if options.PathStyle, err = strconv.ParseBool(value); err != nil {
				return Options{}, fmt.Errorf("read state URL: path-style is %q, not true or false", value)
			}
		default:
			return Options{}, fmt.Errorf("read state URL: %q is not one of region, endpoint, path-style", key)
		}
	}
	return options, nil
}

// Open finds region and credentials; nothing is asked of the bucket yet.
// Missing ones are state.ErrRefused.
func Open(ctx context.Context, options Options) (*Store, error) {
	if options.Bucket == "" {
		return nil, errors.New("open s3: no bucket")
	}
	if u, err := url.Parse(options.Endpoint); err != nil || u.User != nil || u.RawQuery != "" {
		// Not repeated: it may hold a credential.
		return nil, errors.New("open s3: the endpoint is not a URL without credentials and parameters")
	}
	// The SDK would warn on stderr, between the lines of others.
	load := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{}), config.WithHTTPClient(brieflyIdle())}
	if options.Region != "" {
		load = append(load, config.WithRegion(options.Region))
	}
	if options.AccessKey != "" {
		load = append(load, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(options.AccessKey, options.SecretKey, options.SessionToken)))
	}
	loaded, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, fmt.Errorf("open s3: %w: %w", state.ErrRefused, err)
	}
	if loaded.Region == "" {
		if options.Endpoint == "" {
			return nil, fmt.Errorf("open s3: %w: no region", state.ErrRefused)
		}
		loaded.Region = "us-east-1" // Other stores sign with it and ignore it.
	}
	if loaded.Credentials == nil {
		return nil, fmt.Errorf("open s3: %w: no credentials", state.ErrRefused)
	}
	if _, err := loaded.Credentials.Retrieve(ctx); err != nil {
		return nil, fmt.Errorf("open s3: %w: find credentials: %w", state.ErrRefused, err)
	}
	client := s3.NewFromConfig(loaded, func(o *s3.Options) {
		o.UsePathStyle = options.PathStyle
		if options.HTTP != nil {
			o.HTTPClient = options.HTTP
		}
		if options.Endpoint != "" {
			o.BaseEndpoint = aws.String(options.Endpoint)
			// Other stores need not know the SDK's checksums; the ledger has its own.
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
			o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		}
	})
	return &Store{client: client, bucket: options.Bucket, prefix: strings.Trim(options.Prefix, "/")}, nil
}

// brieflyIdle is the SDK's own client but for one thing: connections are kept
// from one renewal of a lease to the next, and not for a minute and a half, since
// a process may open thousands of stores, one after the other.
func brieflyIdle() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.IdleConnTimeout = 20 * time.Second })
}

// once turns the SDK's own retries off: a repeated conditional write would be
// refused because of itself, and the ledger knows better when to ask again.
func once(o *s3.Options) { o.Retryer = aws.NopRetryer{} }

// Get is state.Store's.
func (s *Store) Get(ctx context.Context, name string) (state.Blob, error) {
	if err := state.CheckName(name); err != nil {
		return state.Blob{}, err
	}
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: s.key(name)}, once)
	if err != nil {
		return state.Blob{}, certain(err, state.ErrNotFound)
	}
	data, err := io.ReadAll(out.Body)
	if err := errors.Join(err, out.Body.Close()); err != nil {
		return state.Blob{}, fmt.Errorf("read %s: %w", name, err)
	}
	stamp := stamp(out.ETag, out.ResultMetadata)
	stamp.Modified = aws.ToTime(out.LastModified)
	return state.Blob{Data: data, Stamp: stamp}, nil
}

// Create is state.Store's.
func (s *Store) Create(ctx context.Context, name string, data []byte) (state.Stamp, error) {
	return s.put(ctx, name, data, &s3.PutObjectInput{IfNoneMatch: aws.String("*")}, state.ErrExists)
}

// Swap is state.Store's.
func (s *Store) Swap(ctx context.Context, name string, data []byte, version string) (state.Stamp, error) {
	if version == "" { // An empty If-Match would not be sent.
		return state.Stamp{}, fmt.Errorf("%s: %w: no version", name, state.ErrChanged)
	}
	return s.put(ctx, name, data, &s3.PutObjectInput{IfMatch: &version}, state.ErrChanged)
}

// put writes under the condition in input; unmet is what it means when the
// condition does not hold.
func (s *Store) put(ctx context.Context, name string, data []byte, input *s3.PutObjectInput, unmet error) (state.Stamp, error) {
	if err := state.CheckName(name); err != nil {
		return state.Stamp{}, err
	}
	input.Bucket, input.Key, input.Body = &s.bucket, s.key(name), bytes.NewReader(data)
	input.ContentLength = aws.Int64(int64(len(data)))
	out, err := s.client.PutObject(ctx, input, once)
	if err != nil {
		return state.Stamp{}, certain(err, unmet)
	}
	return stamp(out.ETag, out.ResultMetadata), nil
}

// List is state.Sweeper's.
func (s *Store) List(ctx context.Context, prefix string) ([]state.Entry, error) {
	input := &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: aws.String(aws.ToString(s.key("")) + prefix)}
	var entries []state.Entry
	for pages := s3.NewListObjectsV2Paginator(s.client, input); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, certain(err, state.ErrNotFound)
		}
		for _, object := range page.Contents {
			entries = append(entries, state.Entry{
				Name:     strings.TrimPrefix(aws.ToString(object.Key), aws.ToString(s.key(""))),
				Size:     aws.ToInt64(object.Size),
				Modified: aws.ToTime(object.LastModified),
			})
		}
	}
	slices.SortFunc(entries, func(a, b state.Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries, nil
}

// Delete is state.Sweeper's.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := state.CheckName(name); err != nil {
		return err
	}
	_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: s.key(name)})
	if err = certain(err, state.ErrChanged); errors.Is(err, state.ErrNotFound) {
		return nil
	}
	return err
}

func (s *Store) key(name string) *string {
	if s.prefix == "" {
		return &name
	}
	return aws.String(s.prefix + "/" + name)
}

// stamp gives the version, and the store's time by its Date header.
func stamp(etag *string, answer middleware.Metadata) state.Stamp {
	now, _ := awsmiddleware.GetServerTime(answer)
	return state.Stamp{Version: aws.ToString(etag), Now: now.UTC().Truncate(time.Second)}
}

// certain names what an error of the store says for certain.
func certain(err error, unmet error) error {
	if err == nil {
		return nil
	}
	status := 0
	if answer, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		status = answer.HTTPStatusCode()
	}
	code := ""
	if said, ok := errors.AsType[smithy.APIError](err); ok {
		code = said.ErrorCode()
	}
	switch code {
	case "NoSuchKey", "NotFound":
		return fmt.Errorf("%w: %w", state.ErrNotFound, err)
	case "NoSuchBucket", "InvalidBucketName", "PermanentRedirect", "AuthorizationHeaderMalformed", "ExpiredToken", "InvalidToken":
		return fmt.Errorf("%w: %w", state.ErrRefused, err)
	}
	switch status {
	case http.StatusPreconditionFailed, http.StatusConflict:
		return fmt.Errorf("%w: %w", unmet, err)
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusMovedPermanently,
		http.StatusNotFound: // Of something else than the object.
		return fmt.Errorf("%w: %w", state.ErrRefused, err)
	}
	return err
}
