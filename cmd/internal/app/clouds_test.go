package app_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/cmd/internal/config"
	"tidemark.dev/tidemark/tests/servers"
	"tidemark.dev/tidemark/tests/servers/assets"
)

// cloud is where a cluster asks who a token belongs to, as EKS and GKE do: by a
// TokenReview. check gives the user, or why there is none.
type cloud struct {
	*httptest.Server
	check func(token string) (user string, err error)
	// refused is why tokens were.
	refused []string
}

// startCloud starts it, and a cluster that asks it; whoever it knows may read.
func startCloud(t *testing.T, mux *http.ServeMux, check func(string) (string, error)) (*cloud, *servers.ControlPlane) {
	t.Helper()
	if _, err := assets.APIServer(); errors.As(err, new(*assets.MissingError)) {
		t.Skipf("%v; go run ./tests/servers/install", err)
	}
	c := &cloud{check: check}
	mux.HandleFunc("POST /authenticate", func(w http.ResponseWriter, r *http.Request) {
		var review struct {
			APIVersion string                 `json:"apiVersion"`
			Kind       string                 `json:"kind"`
			Spec       struct{ Token string } `json:"spec"`
		}
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		status := map[string]any{"authenticated": false}
		if user, err := c.check(review.Spec.Token); err == nil {
			status = map[string]any{"authenticated": true, "user": map[string]any{"username": user, "groups": []string{"system:masters"}}}
		} else {
			c.refused = append(c.refused, err.Error())
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": review.APIVersion, "kind": review.Kind, "status": status})
	})
	c.Server = httptest.NewServer(mux)
	t.Cleanup(c.Close)
	file := filepath.Join(t.TempDir(), "authenticator.yaml")
	if err := os.WriteFile(file, []byte(`{apiVersion: v1, kind: Config, current-context: a, clusters: [{name: a, cluster: {server: "`+c.URL+`/authenticate"}}], users: [{name: a, user: {}}], contexts: [{name: a, context: {cluster: a, user: a}}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return c, servers.For(t, servers.StartControlPlane, servers.ControlPlaneOptions{
		APIServerFlags: []string{"--authentication-token-webhook-config-file=" + file, "--authentication-token-webhook-version=v1", "--authentication-token-webhook-cache-ttl=0s"},
	})
}

// opened is a request that the cluster, opened in this way, answers.
func opened(t *testing.T, e app.Env, settings app.Settings) (string, error) {
	t.Helper()
	target, err := open(t, e, settings).Cluster(t.Context())
	if err != nil {
		return "", err
	}
	defer target.Close()
	return target.Identity(t.Context())
}

const (
	accessKey  = "AKIAIOSFODNN7EXAMPLE"
	assumedKey = "ASIAIOSFODNN7EXAMPLE"
	roleARN    = "arn:aws:iam::123456789012:role/deployer"
	region     = "eu-central-1"
)

// amazon knows keys, and checks signatures as AWS documents them (Signature
// Version 4), by arithmetic of its own.
type amazon struct {
	secrets map[string]string
	session string
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// verify gives the key that signed the request. signed are the headers that it
// signs, and query what the canonical request has of the query.
func (a amazon) verify(r *http.Request, query url.Values, credential, service, signature, signedHeaders, payload, stamp string) (string, error) {
	parts := strings.Split(credential, "/")
	if len(parts) != 5 || parts[2] != region || parts[3] != service || parts[4] != "aws4_request" || !strings.HasPrefix(stamp, parts[1]) {
		return "", fmt.Errorf("the credential %q is not for %s in %s on %s", credential, service, region, stamp)
	}
	secret, known := a.secrets[parts[0]]
	if !known {
		return "", fmt.Errorf("the key %s is not known", parts[0])
	}
	names := strings.Split(signedHeaders, ";")
	if !slices.Contains(names, "host") || !slices.IsSorted(names) {
		return "", fmt.Errorf("the signed headers are %q", signedHeaders)
	}
	var headers strings.Builder
	for _, name := range names {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		if name == "content-length" {
			value = strconv.FormatInt(r.ContentLength, 10)
		}
		fmt.Fprintf(&headers, "%s:%s\n", name, strings.TrimSpace(value))
	}
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	canonical := strings.Join([]string{r.Method, path, strings.ReplaceAll(query.Encode(), "+", "%20"), headers.String(), signedHeaders, payload}, "\n")
	digest := sha256.Sum256([]byte(canonical))
	text := strings.Join([]string{"AWS4-HMAC-SHA256", stamp, strings.Join(parts[1:], "/"), hex.EncodeToString(digest[:])}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range parts[1:] {
		key = mac(key, part)
	}
	if want := hex.EncodeToString(mac(key, text)); signature != want {
		return "", fmt.Errorf("the signature is %s, want %s of\n%s", signature, want, canonical)
	}
	return parts[0], nil
}

// header verifies a request that is signed in its header.
func (a amazon) header(r *http.Request, service, payload string) (string, error) {
	fields := map[string]string{}
	for field := range strings.SplitSeq(strings.TrimPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 "), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		fields[name] = value
	}
	return a.verify(r, r.URL.Query(), fields["Credential"], service, fields["Signature"], fields["SignedHeaders"], payload, r.Header.Get("X-Amz-Date"))
}

// token does what EKS does with a token, and STS with the question in it.
func (a amazon) token(token, cluster, sts string, now time.Time) (string, error) {
	encoded, ok := strings.CutPrefix(token, "k8s-aws-v1.")
	if !ok {
		return "", errors.New("the token is none of EKS")
	}
	question, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(string(question))
	if err != nil {
		return "", err
	}
	query := u.Query()
	for name := range query {
		if !slices.Contains([]string{"Action", "Version", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Security-Token", "X-Amz-SignedHeaders", "X-Amz-Signature"}, name) {
			return "", fmt.Errorf("the question has %s", name)
		}
	}
	switch {
	case u.Scheme+"://"+u.Host != sts || u.Path != "/":
		return "", fmt.Errorf("the question is for %s", u.Host)
	case query.Get("Action") != "GetCallerIdentity":
		return "", fmt.Errorf("the action is %s", query.Get("Action"))
	case !slices.Contains(strings.Split(query.Get("X-Amz-SignedHeaders"), ";"), "x-k8s-aws-id"):
		return "", errors.New("the cluster's name is not signed")
	}
	at, err := time.Parse("20060102T150405Z", query.Get("X-Amz-Date"))
	if err != nil {
		return "", err
	}
	if now.Before(at.Add(-time.Minute)) || now.After(at.Add(15*time.Minute)) {
		return "", fmt.Errorf("the token is of %s: expired", at)
	}
	if seconds, err := strconv.Atoi(query.Get("X-Amz-Expires")); err != nil || seconds <= 0 || seconds > 900 {
		return "", fmt.Errorf("the question holds for %q", query.Get("X-Amz-Expires"))
	}
	signature := query.Get("X-Amz-Signature")
	query.Del("X-Amz-Signature")
	request := &http.Request{Method: http.MethodGet, Host: u.Host, URL: u, Header: http.Header{"X-K8s-Aws-Id": {cluster}}}
	empty := sha256.Sum256(nil)
	key, err := a.verify(request, query, query.Get("X-Amz-Credential"), "sts", signature, query.Get("X-Amz-SignedHeaders"), hex.EncodeToString(empty[:]), query.Get("X-Amz-Date"))
	if err != nil {
		return "", err
	}
	if key == assumedKey && query.Get("X-Amz-Security-Token") != a.session {
		return "", errors.New("the session token is missing")
	}
	return key, nil
}

func TestEKS(t *testing.T) {
	// The SDK looks for credentials by itself.
	t.Setenv("AWS_ACCESS_KEY_ID", accessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	aws := amazon{secrets: map[string]string{accessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", assumedKey: "assumed/secret"}, session: "assumed/session=="}
	mux := http.NewServeMux()
	var c *cloud
	var described []byte
	var user string
	c, cluster := startCloud(t, mux, func(token string) (string, error) {
		var err error
		user, err = aws.token(token, "prod", c.URL, time.Now())
		return user, err
	})
	empty := sha256.Sum256(nil)
	mux.HandleFunc("GET /clusters/{name}", func(w http.ResponseWriter, r *http.Request) {
		if _, err := aws.header(r, "eks", hex.EncodeToString(empty[:])); err != nil {
			t.Errorf("DescribeCluster: %v", err)
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"message":"The security token included in the request is invalid"}`))
			return
		}
		if r.PathValue("name") == "none" {
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"message":"No cluster found for name: none."}`))
			return
		}
		_, _ = w.Write(described)
	})
	mux.HandleFunc("POST /{$}", func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.Form.Get("Action") != "AssumeRole" || r.Form.Get("RoleArn") != roleARN || !strings.Contains(r.Header.Get("Authorization"), "Credential="+accessKey+"/") {
			t.Errorf("STS was asked %v by %q: %v", r.Form, r.Header.Get("Authorization"), err)
		}
		_, _ = fmt.Fprintf(w, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
			assumedKey, aws.secrets[assumedKey], aws.session, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	})
	describe := func(status string, server string, ca []byte) {
		data, err := json.Marshal(map[string]any{"cluster": map[string]any{"name": "prod", "status": status, "endpoint": server, "certificateAuthority": map[string]any{"data": ca}}})
		if err != nil {
			t.Fatal(err)
		}
		described = data
	}
	describe("ACTIVE", cluster.URL, cluster.CACert)
	e := env(t, map[string]string{"AWS_ENDPOINT_URL_EKS": c.URL, "AWS_ENDPOINT_URL_STS": c.URL})
	e.Now = time.Now
	settings := func(k config.EKS) app.Settings {
		return app.Settings{Repo: "r", Apps: []string{"a"}, EKS: k}
	}
	for want, k := range map[string]config.EKS{
		accessKey:  {Name: "prod", Region: region},
		assumedKey: {Name: "prod", Region: region, RoleARN: roleARN},
	} {
		if uid, err := opened(t, e, settings(k)); err != nil || uid == "" || user != want {
			t.Errorf("%+v: got %q, %v as %s, want the cluster's identity as %s; refused: %v", k, uid, err, user, want, c.refused)
		}
	}

	old := e
	old.Now = func() time.Time { return time.Now().Add(-time.Hour) }
	for what, test := range map[string]struct {
		env  app.Env
		eks  config.EKS
		want string
	}{
		"another cluster's token": {e, config.EKS{Name: "test", Region: region}, "the signature is"},
		"an expired token":        {old, config.EKS{Name: "prod", Region: region}, "expired"},
	} {
		c.refused = nil
		if _, err := opened(t, test.env, settings(test.eks)); err == nil || !strings.Contains(strings.Join(c.refused, "\n"), test.want) {
			t.Errorf("%s: got %v, refused %q; want the cluster to refuse it since %q", what, err, c.refused, test.want)
		}
	}
	if _, err := opened(t, e, settings(config.EKS{Name: "none", Region: region})); err == nil || !strings.Contains(err.Error(), "No cluster found for name: none.") {
		t.Errorf("a cluster that is not there: got %v", err)
	}
	describe("CREATING", "", nil)
	if _, err := opened(t, e, settings(config.EKS{Name: "prod", Region: region})); err == nil || !strings.Contains(err.Error(), "CREATING") {
		t.Errorf("a cluster in the making: got %v", err)
	}
}

func TestGKE(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	const robot, name, issued = "tidemark@acme.iam.gserviceaccount.com", "projects/acme/locations/europe-west1/clusters/prod", "ya29.issued"
	mux := http.NewServeMux()
	var described []byte
	c, cluster := startCloud(t, mux, func(token string) (string, error) {
		if token != issued {
			return "", errors.New("the token is not of Google")
		}
		return robot, nil
	})
	// As Google documents it: a claim that the account's key signed, for a token
	// (RFC 7523).
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		parts := strings.Split(r.PostFormValue("assertion"), ".")
		if r.PostFormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" || len(parts) != 3 {
			t.Errorf("the token endpoint was asked %v", r.PostForm)
			return
		}
		signature, _ := base64.RawURLEncoding.DecodeString(parts[2])
		digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
		payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
		var claim struct {
			Iss, Aud, Scope string
			Iat, Exp        int64
		}
		now := time.Now().Unix()
		if err := json.Unmarshal(payload, &claim); err != nil || rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest[:], signature) != nil ||
			claim.Iss != robot || claim.Aud != c.URL+"/token" || claim.Scope != "https://www.googleapis.com/auth/cloud-platform" || claim.Exp <= now || claim.Exp > now+3700 {
			t.Errorf("the claim %s does not hold: %v", payload, err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":3599}`, issued)
	})
	mux.HandleFunc("GET /v1/{name...}", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer "+issued:
			w.WriteHeader(http.StatusUnauthorized)
		case r.PathValue("name") != name:
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"error":{"code":404,"message":"Not found: clusters/none."}}`))
		default:
			_, _ = w.Write(described)
		}
	})
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	account, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "acme", "private_key_id": "1", "client_email": robot, "token_uri": c.URL + "/token",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "account.json")
	if err := os.WriteFile(file, account, 0o600); err != nil {
		t.Fatal(err)
	}
	// The SDK looks for credentials by itself.
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file)
	described, err = json.Marshal(map[string]any{"status": "RUNNING", "endpoint": strings.TrimPrefix(cluster.URL, "https://"), "masterAuth": map[string]any{"clusterCaCertificate": cluster.CACert}})
	if err != nil {
		t.Fatal(err)
	}
	e := env(t, map[string]string{"TIDEMARK_GKE_ENDPOINT": c.URL})
	settings := func(name string) app.Settings {
		return app.Settings{Repo: "r", Apps: []string{"a"}, GKE: config.GKE{Name: name}}
	}
	if uid, err := opened(t, e, settings(name)); err != nil || uid == "" {
		t.Errorf("the cluster's identity: got %q, %v; refused: %v", uid, err, c.refused)
	}
	if _, err := opened(t, e, settings(name+"x")); err == nil || !strings.Contains(err.Error(), "Not found: clusters/none.") {
		t.Errorf("a cluster that is not there: got %v", err)
	}
	described = []byte(`{"status":"PROVISIONING"}`)
	if _, err := opened(t, e, settings(name)); err == nil || !strings.Contains(err.Error(), "PROVISIONING") {
		t.Errorf("a cluster in the making: got %v", err)
	}
}
