// Package eks gives the way into a cluster of Amazon EKS without a kubeconfig and
// without the aws program: where it is, whose certificates it has, and tokens by
// which it knows who asks.
//
// A token is a signed question to STS, "who am I", that the cluster puts to STS in
// our name; it holds the cluster's name under the signature, so that no other
// cluster can use it.
package eks

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
)

const (
	prefix = "k8s-aws-v1."
	// The cluster takes a token for fifteen minutes from its signature; the question
	// itself may be put for one.
	lasts   = 14 * time.Minute
	expires = "60"
	// largest is more than EKS says of a cluster.
	largest = 1 << 20
)

// Options say which cluster is meant and as whom.
type Options struct {
	Name string
	// Region of the cluster; empty is the SDK's.
	Region string
	// Role is the ARN of a role to assume; empty is who we are.
	Role string
	// Endpoint and STSEndpoint are URLs of other servers than AWS's.
	Endpoint, STSEndpoint string
	HTTP                  *http.Client
	Now                   func() time.Time
}

// Cluster is a cluster of EKS. It is safe for concurrent use.
type Cluster struct {
	// Server is the URL of its API server, and CA the authorities behind that, as
	// PEM.
	Server string
	CA     []byte

	options     Options
	credentials aws.CredentialsProvider
	signer      *v4.Signer
}

// Open finds credentials and asks EKS where the cluster is.
func Open(ctx context.Context, options Options) (*Cluster, error) {
	load := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{})}
	if options.Region != "" {
		load = append(load, config.WithRegion(options.Region))
	}
	loaded, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, fmt.Errorf("find AWS credentials: %w", err)
	}
	if options.Region = loaded.Region; options.Region == "" {
		return nil, errors.New("no AWS region is given")
	}
	c := &Cluster{options: options, credentials: loaded.Credentials, signer: v4.NewSigner()}
	if options.Role != "" {
		client := sts.NewFromConfig(loaded, func(o *sts.Options) {
			if options.STSEndpoint != "" {
				o.BaseEndpoint = aws.String(options.STSEndpoint)
			}
		})
		c.credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(client, options.Role, func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName = "tidemark"
		}))
	}
	if err := c.describe(ctx); err != nil {
		return nil, fmt.Errorf("describe the cluster %s: %w", options.Name, err)
	}
	return c, nil
}

// describe asks where the cluster is (eks:DescribeCluster).
func (c *Cluster) describe(ctx context.Context) error {
	base := c.options.Endpoint
	if base == "" {
		base = "https://eks." + c.options.Region + "." + domain(c.options.Region)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(base, "/")+"/clusters/"+url.PathEscape(c.options.Name), nil)
	if err != nil {
		return err
	}
	who, err := c.credentials.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("find AWS credentials: %w", err)
	}
	if err := c.signer.SignHTTP(ctx, who, request, digestOfNothing(), "eks", c.options.Region, c.options.Now()); err != nil {
		return err
	}
	response, err := c.options.HTTP.Do(request)
	if err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, largest))
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		var said struct {
			Message string `json:"message"`
		}
		_ = json.Unmarshal(data, &said) // Without words the status stands alone.
		return fmt.Errorf("EKS answers %s: %.300s", response.Status, said.Message)
	}
	var answer struct {
		Cluster struct {
			Endpoint             string `json:"endpoint"`
			Status               string `json:"status"`
			CertificateAuthority struct {
				Data []byte `json:"data"`
			} `json:"certificateAuthority"`
		} `json:"cluster"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return fmt.Errorf("read the answer of EKS: %w", err)
	}
	c.Server, c.CA = answer.Cluster.Endpoint, answer.Cluster.CertificateAuthority.Data
	if c.Server == "" || len(c.CA) == 0 {
		return fmt.Errorf("it has no endpoint yet: its status is %q", answer.Cluster.Status)
	}
	return nil
}

// Token gives a token and until when the cluster takes it.
func (c *Cluster) Token(ctx context.Context) (token string, until time.Time, err error) {
	base := c.options.STSEndpoint
	if base == "" {
		base = "https://sts." + c.options.Region + "." + domain(c.options.Region)
	}
	question := url.Values{"Action": {"GetCallerIdentity"}, "Version": {"2011-06-15"}, "X-Amz-Expires": {expires}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(base, "/")+"/?"+question.Encode(), nil)
	if err != nil {
		return "", time.Time{}, err
	}
	request.Header.Set("X-K8s-Aws-Id", c.options.Name)
	who, err := c.credentials.Retrieve(ctx)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("find AWS credentials: %w", err)
	}
	now := c.options.Now()
	signed, _, err := c.signer.PresignHTTP(ctx, who, request, digestOfNothing(), "sts", c.options.Region, now)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("sign the token: %w", err)
	}
	until = now.Add(lasts)
	if who.CanExpire && who.Expires.Before(until) {
		until = who.Expires
	}
	return prefix + base64.RawURLEncoding.EncodeToString([]byte(signed)), until, nil
}

func digestOfNothing() string {
	sum := sha256.Sum256(nil)
	return hex.EncodeToString(sum[:])
}

// domain is what the names of AWS's servers in a region end with.
func domain(region string) string {
	if strings.HasPrefix(region, "cn-") {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}
