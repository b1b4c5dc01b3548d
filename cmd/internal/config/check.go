package config

import (
	"fmt"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/git"
)

// The lengths are counted apart: an expression that counts them takes a quarter of
// a megabyte in every process.
var (
	label     = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	subdomain = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`)
)

func isLabel(name string) bool { return len(name) <= 63 && label.MatchString(name) }

// isSubdomain: it may be what a Secret is called (RFC 1123).
func isSubdomain(name string) bool { return len(name) <= 253 && subdomain.MatchString(name) }

const labelRule = "is at most 63 lower-case letters, digits and hyphens, with a letter or digit at both ends"

// check finds what the types alone do not tell.
type check struct {
	*problems
	config Config
	trust  Trust
}

func (c check) all() {
	if c.trust.Committed {
		c.committed()
	}
	c.cluster("cluster", c.config.Cluster)
	c.positive()
	c.repositories()
	c.history()
	c.charts()
	c.source("defaults.source", c.config.Defaults.Source)
	c.policy("defaults", c.config.Defaults.Policy)
	c.wait("defaults", c.config.Defaults.Health)
	c.namespace("defaults.namespace", c.config.Defaults.Namespace)
	c.apps()
	c.syncWindows()
}

// committed refuses what only the operator may say.
func (c check) committed() {
	const why = "cannot be set by a configuration in a repository: give it by flag or variable"
	for field, given := range map[string]bool{
		"state":        c.config.State != "",
		"stateOptions": c.config.StateOptions != StateOptions{},
		"cluster":      c.config.Cluster != Cluster{},
		"leaseTTL":     c.config.LeaseTTL != 0,
		"timeout":      c.config.Timeout != 0,
	} {
		if given {
			c.add(field, why)
		}
	}
}

func (c check) cluster(field string, k Cluster) {
	c.namespace(field+".witnessNamespace", k.WitnessNamespace)
	kubeconfig := k.Kubeconfig != "" || k.Context != ""
	c.clouds(field, k)
	switch {
	case k.InCluster && (kubeconfig || k.Server != ""):
		c.add(field+".inCluster", "goes without kubeconfig, context and server")
	case k.Server != "" && kubeconfig:
		c.add(field+".server", "goes without kubeconfig and context")
	case k.Server != "" && k.TokenFile == "":
		c.add(field+".tokenFile", "is required beside server")
	case k.Server == "" && (k.TokenFile != "" || k.CAFile != ""):
		c.add(field+".server", "is required beside tokenFile and caFile")
	}
}

// gkeName is how Google names a cluster.
var gkeName = regexp.MustCompile(`^projects/[^/\s]+/locations/[^/\s]+/clusters/[^/\s]+$`)

// clouds checks a cluster that a cloud knows.
func (c check) clouds(field string, k Cluster) {
	others := k.Kubeconfig != "" || k.Context != "" || k.Server != "" || k.InCluster
	switch {
	case k.EKS != EKS{} && (others || k.GKE != GKE{}):
		c.add(field+".eks", "goes without kubeconfig, context, server, inCluster and gke")
	case k.GKE != GKE{} && others:
		c.add(field+".gke", "goes without kubeconfig, context, server and inCluster")
	case k.EKS != EKS{} && k.EKS.Name == "":
		c.add(field+".eks.name", "is required")
	case k.EKS.RoleARN != "" && !strings.HasPrefix(k.EKS.RoleARN, "arn:"):
		c.add(field+".eks.roleARN", "want an ARN, arn:aws:iam::ACCOUNT:role/NAME")
	case k.GKE.Name != "" && !gkeName.MatchString(k.GKE.Name):
		c.add(field+".gke.name", "want projects/PROJECT/locations/LOCATION/clusters/NAME")
	}
}

func (c check) positive() {
	for field, value := range map[string]int64{
		"leaseTTL": int64(c.config.LeaseTTL), "timeout": int64(c.config.Timeout), "deferTimeout": int64(c.config.DeferTimeout),
		"audit.retention": int64(c.config.Audit.Retention),
	} {
		if value < 0 {
			c.add(field, "is negative")
		}
	}
}

func (c check) repositories() {
	first := map[string]int{}
	for i, r := range c.config.Repositories {
		field := fmt.Sprintf("repositories[%d]", i)
		c.unique(first, field+".name", r.Name)
		c.repoURL(field+".url", r.URL)
		c.ref(field+".ref", r.Ref)
		c.auth(field+".auth", r.Auth)
		if r.Limits.Objects < 0 {
			c.add(field+".limits.objects", "is negative")
		}
	}
}

func (c check) charts() {
	first := map[string]int{}
	for i, r := range c.config.ChartRepositories {
		field := fmt.Sprintf("chartRepositories[%d]", i)
		if !strings.HasPrefix(r.URL, "https://") && !strings.HasPrefix(r.URL, "http://") && !strings.HasPrefix(r.URL, "oci://") && r.URL != "" {
			c.add(field+".url", "want an https://, http:// or oci:// URL")
		}
		if line, twice := first[r.URL]; twice {
			c.add(field+".url", "is given twice, first on line %d", line)
		}
		first[r.URL] = c.line(field + ".url")
		c.noUserinfo(field+".url", r.URL)
		c.auth(field+".auth", r.Auth)
		if r.Auth.SSHKey != nil || r.Auth.SSHPassphrase != nil || r.Auth.KnownHosts != nil || r.Auth.GitHubApp != nil {
			c.add(field+".auth", "a chart repository takes secretRef, username, password, bearerToken and ca")
		}
	}
}

// unique checks the name of one of several.
func (c check) unique(first map[string]int, field, name string) {
	switch {
	case name == "":
		// Told as a missing field.
		return
	case !isLabel(name):
		c.add(field, "%q is not a name: it %s", name, labelRule)
	case first[name] > 0:
		c.add(field, "%q is given twice, first on line %d", name, first[name])
		return
	}
	first[name] = c.line(field)
}

func (c check) repoURL(field, raw string) {
	c.noUserinfo(field, raw)
	local := !strings.Contains(raw, ":") || strings.HasPrefix(strings.ToLower(raw), "file:")
	if c.trust.Committed && raw != "" && local {
		c.add(field, "is a path of the runner: a configuration in a repository cannot name one")
	}
}

// noUserinfo refuses a credential in a URL; the name of an ssh user is none.
func (c check) noUserinfo(field, raw string) {
	u, err := url.Parse(raw)
	if err != nil || u.User == nil {
		return
	}
	if _, has := u.User.Password(); has || u.Scheme != "ssh" {
		c.add(field, "holds credentials: put them where auth finds them")
	}
}

func (c check) ref(field string, r git.Ref) {
	if err := r.Validate(); err != nil {
		c.add(field, "%s", strings.TrimPrefix(err.Error(), "ref: "))
	}
}

func (c check) auth(field string, a Auth) {
	if a.SecretRef != nil {
		c.secretRef(field, a)
	}
	secrets := map[string]*Secret{"password": a.Password, "bearerToken": a.BearerToken, "sshKey": a.SSHKey, "sshPassphrase": a.SSHPassphrase}
	if a.GitHubApp != nil {
		secrets["githubApp.privateKey"] = a.GitHubApp.PrivateKey
	}
	for name, s := range secrets {
		if s != nil {
			c.way(field+"."+name, "", s.Env, s.File)
		}
	}
	for name, t := range map[string]*Text{"username": a.Username, "knownHosts": a.KnownHosts, "ca": a.CA} {
		if t != nil {
			c.way(field+"."+name, t.Value, t.Env, t.File)
		}
	}
}

func (c check) secretRef(field string, a Auth) {
	if a != (Auth{SecretRef: a.SecretRef, KnownHosts: a.KnownHosts, CA: a.CA}) {
		c.add(field+".secretRef", "goes alone, but for knownHosts and ca: the Secret holds everything")
	}
	if name := a.SecretRef.Name; name != "" && !isSubdomain(name) {
		c.add(field+".secretRef.name", "%q cannot be the name of a Secret", name)
	}
	namespace := a.SecretRef.Namespace
	c.namespace(field+".secretRef.namespace", namespace)
	if c.trust.Committed && namespace != "" && namespace != c.trust.Namespace {
		c.add(field+".secretRef.namespace", "a configuration in a repository may only name Secrets of the namespace that Tidemark runs in, %q: leave it out, or say by TIDEMARK_POD_NAMESPACE that Tidemark runs in another", c.trust.Namespace)
	}
}

// way checks where one value is found.
func (c check) way(field, value, env, file string) {
	given := 0
	for _, way := range []string{value, env, file} {
		if way != "" {
			given++
		}
	}
	switch {
	case given != 1:
		c.add(field, "give exactly one way to find it, not %d", given)
	case c.trust.Committed && value == "":
		c.add(field, "a configuration in a repository cannot read the runner's files and environment: use secretRef")
	}
}

func (c check) source(field string, s Source) {
	c.ref(field+".ref", s.Ref)
	if strings.Contains(s.Path, "\\") || path.IsAbs(s.Path) || slices.Contains(strings.Split(s.Path, "/"), "..") {
		c.add(field+".path", "want a path inside the repository, with slashes, relative to its root")
	}
	if s.Repo == "" {
		return
	}
	if IsURL(s.Repo) {
		c.repoURL(field+".repo", s.Repo)
		return
	}
	var names []string
	for _, r := range c.config.Repositories {
		names = append(names, r.Name)
	}
	if !slices.Contains(names, s.Repo) {
		c.add(field+".repo", "there is no repository named %q%s", s.Repo, didYouMean(s.Repo, names))
	}
}

// IsURL tells the URL or path of a repository from the name of one.
func IsURL(repo string) bool { return strings.ContainsAny(repo, ":/.") }

func (c check) policy(field string, p Policy) {
	c.ignored(field, p)
	for i, tool := range p.Adopt {
		if ledger, ok := strings.CutPrefix(tool, "tidemark:"); ok && ledger != "" || slices.Contains(plan.Tools(), tool) {
			continue
		}
		c.add(fmt.Sprintf("%s.adopt[%d]", field, i), "%q is not one of %s, tidemark:LEDGER%s", tool, strings.Join(plan.Tools(), ", "), didYouMean(tool, plan.Tools()))
	}
}

func (c check) namespace(field, name string) {
	if name != "" && !isLabel(name) {
		c.add(field, "%q is not the name of a namespace: it %s", name, labelRule)
	}
}

func (c check) apps() {
	if len(c.config.Apps) == 0 && len(c.found) == 0 {
		c.add("apps", "holds no app")
	}
	first := map[string]int{}
	c.dependencies()
	for i, a := range c.config.Apps {
		field := fmt.Sprintf("apps[%d]", i)
		c.unique(first, field+".name", a.Name)
		c.source(field+".source", a.Source)
		c.policy(field, a.Policy)
		c.wait(field, a.Health)
		if health := a.Health.withDefaults(c.config.Defaults.Health); a.Rollback == "auto" && !*health.Wait && len(health.HealthChecks) == 0 {
			c.add(field+".rollback", "wants wait: true or healthChecks, which tell whether the app is healthy")
		}
		c.namespace(field+".namespace", a.Namespace)
		if !c.trust.Committed && c.config.repoOf(a) == "" && a.NeedsRepository() {
			c.add(field+".source", "is required: give repo, the name of a repository or a URL")
		}
	}
}

// repoOf gives the repository that an app names, or that is meant.
func (c Config) repoOf(a App) string {
	repo := or(a.Source.Repo, c.Defaults.Source.Repo)
	if repo == "" && len(c.Repositories) == 1 {
		repo = c.Repositories[0].Name
	}
	return repo
}

// Names lists the apps, sorted.
func (c Config) Names() []string {
	names := map[string]bool{}
	for _, a := range c.Apps {
		names[a.Name] = true
	}
	return slices.Sorted(maps.Keys(names))
}
