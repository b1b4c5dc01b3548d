package servers

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tidemark.dev/tidemark/tests/servers/assets"
)

// S3Options names the bucket.
type S3Options struct {
	// Bucket is made at the start; "tidemark" when empty.
	Bucket string
}

// S3 is versitygw with one empty bucket: an S3 server that checks signatures and honours conditional writes. Buckets are
// addressed by path (URL/bucket/key).
type S3 struct {
	URL       string
	Region    string
	Bucket    string
	AccessKey string
	SecretKey string
	// Dir is the bucket as a folder of files. Look, but write through URL.
	Dir string

	process *process
}

// StartS3 keeps its objects in dir, whose file system must have extended attributes. A program that is not there is an
// *assets.MissingError.
func StartS3(ctx context.Context, dir string, options S3Options) (*S3, error) {
	bundle, err := assets.S3()
	if err != nil {
		return nil, err
	}
	program, err := bundle.Path("versitygw")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	if options.Bucket == "" {
		options.Bucket = "tidemark"
	}
	s := &S3{
		URL: fmt.Sprintf("http://127.0.0.1:%d", port), Region: "us-east-1", Bucket: options.Bucket,
		AccessKey: "tidemark-test", SecretKey: randomToken(), Dir: filepath.Join(dir, "s3", options.Bucket),
	}
	if err := os.Mkdir(filepath.Dir(s.Dir), 0o755); err != nil {
		return nil, err
	}
	env := []string{"ROOT_ACCESS_KEY=" + s.AccessKey, "ROOT_SECRET_KEY=" + s.SecretKey}
	s.process, err = startProcess(ctx, dir, "versitygw", env, []string{
		program, "--port", fmt.Sprintf("127.0.0.1:%d", port), "--region", s.Region, "--health", "/health", "--keep-alive", "--quiet",
		"posix", filepath.Dir(s.Dir),
	}, answersOK(s.URL+"/health"))
	if err != nil {
		return nil, err
	}
	status, body, _, err := s.Do(ctx, http.MethodPut, "", nil, nil)
	if err == nil && status != http.StatusOK {
		err = &StatusError{Request: "PUT /" + s.Bucket, Status: status, Body: body}
	}
	if err != nil {
		_ = s.Stop()
		return nil, fmt.Errorf("make bucket %s: %w", s.Bucket, err)
	}
	return s, nil
}

// Stop ends the server; Dir keeps the objects.
func (s *S3) Stop() error { return s.process.Stop() }

// Do sends one signed request about the key, or the bucket when it is empty, and answers whatever the status is. Keys
// are plain: letters, digits and "-_.~/".
func (s *S3) Do(ctx context.Context, method, key string, header http.Header, body []byte) (status int, answer []byte, answered http.Header, err error) {
	path := "/" + s.Bucket
	if key != "" {
		path += "/" + key
	}
	request, err := http.NewRequestWithContext(ctx, method, s.URL+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	maps.Copy(request.Header, header)
	s.sign(request, body, time.Now().UTC())
	return send(request)
}

// sign does AWS Signature Version 4 for a request without a query, signing the headers that it must.
func (s *S3) sign(request *http.Request, body []byte, now time.Time) {
	digest := sha256.Sum256(body)
	content, stamp := hex.EncodeToString(digest[:]), now.Format("20060102T150405Z")
	request.Header.Set("X-Amz-Content-Sha256", content)
	request.Header.Set("X-Amz-Date", stamp)

	const signed = "host;x-amz-content-sha256;x-amz-date"
	canonical := strings.Join([]string{
		request.Method, request.URL.EscapedPath(), "",
		"host:" + request.URL.Host, "x-amz-content-sha256:" + content, "x-amz-date:" + stamp, "",
		signed, content,
	}, "\n")
	digest = sha256.Sum256([]byte(canonical))
	scope := stamp[:8] + "/" + s.Region + "/s3/aws4_request"

	key := []byte("AWS4" + s.SecretKey)
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	signature := mac(key, strings.Join([]string{"AWS4-HMAC-SHA256", stamp, scope, hex.EncodeToString(digest[:])}, "\n"))
	request.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%x",
		s.AccessKey, scope, signed, signature))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// send answers with status, body and headers, whatever the status is.
func send(request *http.Request) (status int, body []byte, header http.Header, err error) {
	client := &http.Client{Timeout: time.Minute}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, nil, err
	}
	body, err = io.ReadAll(response.Body)
	if closing := response.Body.Close(); err == nil {
		err = closing
	}
	return response.StatusCode, body, response.Header, err
}
