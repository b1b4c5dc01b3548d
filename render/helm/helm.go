// Package helm renders Helm charts: a chart in the repository, in an HTTP chart
// repository or in an OCI registry goes in, Kubernetes objects come out.
//
// Charts are read, their dependencies and values worked out by Helm's own
// packages. Their templates are run here, with the functions and rules of
// Helm's engine, because Helm's cannot be stopped: a value that evaluates
// itself through "tpl" overflows the stack and ends the whole process.
//
// Laws: a chart is hostile. Its templates see its own files, the values, the
// release and the capabilities, and nothing else: no cluster ("lookup" finds
// nothing), no DNS, no environment, no network, no file of the machine. Nesting,
// output and time are bounded. Not bounded is what one single template function
// allocates: a process that must survive that needs a memory limit around it.
//
// Helm's packages write warnings, with values in them, to the standard
// library's log and slog loggers. Whoever starts the process silences both:
// log.SetOutput(io.Discard).
package helm

import (
	"errors"
	"time"

	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/render/source"
)

// ErrNoCapabilities is the case of a render that knows no Kubernetes version:
// neither pinned by the app nor known from a cluster.
var ErrNoCapabilities = errors.New("the Kubernetes version is unknown: set kubeVersion (and apiVersions, for what CRDs add), or name a cluster")

// ErrIncomplete is the case of a chart that may ask for what the cluster could
// not tell: rendered regardless, it would leave out what it gives to a cluster
// that serves it.
var ErrIncomplete = errors.New("the cluster cannot tell what it serves of an API group that is asked for")

// Options say how an app's chart is rendered. The zero value renders the chart
// at the app's path with its own values.
type Options struct {
	// Chart names a chart elsewhere; nil means the chart at the app's path.
	Chart *ChartRef `json:"chart,omitempty"`
	// ReleaseName is what templates see as .Release.Name; empty means the name
	// in the Request.
	ReleaseName string `json:"releaseName,omitempty"`

	// ValueFiles are files in the repository, later ones win. A path is
	// relative to the app's path, with a leading slash to the root of the
	// repository; it never leads above that root.
	ValueFiles []string `json:"valueFiles,omitempty"`
	// IgnoreMissingValueFiles lets a value file be absent.
	IgnoreMissingValueFiles bool `json:"ignoreMissingValueFiles,omitempty"`
	// Values win over all files; a null deletes what the chart sets.
	Values map[string]any `json:"values,omitempty"`

	// KubeVersion pins .Capabilities.KubeVersion, and with it the built-in API
	// versions of that Kubernetes release: the cluster is not asked. Empty
	// means the Capabilities of the Request.
	KubeVersion string `json:"kubeVersion,omitempty"`
	// APIVersions are added to .Capabilities.APIVersions, each as
	// "group/version" or "group/version/Kind".
	APIVersions []string `json:"apiVersions,omitempty"`

	// IncludeCRDs says whether the files in crds/ are part of the app; nil
	// means yes.
	IncludeCRDs *bool `json:"includeCRDs,omitempty"`
	// SkipSchemaValidation leaves out the check of the values against the
	// values.schema.json of the chart and its subcharts.
	SkipSchemaValidation bool `json:"skipSchemaValidation,omitempty"`
	// Hooks says what becomes of objects that are Helm hooks. Test hooks are
	// always left out.
	Hooks Hooks `json:"hooks,omitempty"`
	// Nondeterministic says what becomes of fields that differ between two
	// renders: "" or "keep", "apply", "refuse". Render only reports them; the
	// planner obeys.
	Nondeterministic Nondeterministic `json:"nondeterministic,omitempty"`
}

// Hooks is a way to treat Helm hooks.
type Hooks string

// The ways to treat Helm hooks.
const (
	// HooksRun leaves them to whoever applies the objects.
	HooksRun Hooks = ""
	// HooksRefuse makes a hook an error that names it.
	HooksRefuse Hooks = "refuse"
	// HooksSkip leaves hooks out, with a warning that names them.
	HooksSkip Hooks = "skip"
)

// Nondeterministic is a way to treat fields that differ between two renders.
type Nondeterministic string

// The ways to treat fields that differ between two renders; empty means keep.
const (
	NondeterministicKeep   Nondeterministic = "keep"
	NondeterministicApply  Nondeterministic = "apply"
	NondeterministicRefuse Nondeterministic = "refuse"
)

// ChartRef names a chart in a repository of charts.
type ChartRef struct {
	// Repo is "https://HOST/PATH" of an HTTP chart repository, or
	// "oci://HOST/PATH" of the folder of a registry that holds the chart.
	Repo string `json:"repo"`
	Name string `json:"name"`
	// Version is a version or a range of versions ("~1.4", ">=2 <3"); empty
	// means the newest that is no pre-release.
	Version string `json:"version,omitempty"`
	// Digest, "sha256:" and 64 hexadecimal digits, is what the chart must have:
	// the archive's in an HTTP repository, the manifest's in a registry.
	Digest string `json:"digest,omitempty"`
}

// ChartVersion is one chart as it was found. Digest is as in ChartRef, empty
// for a chart of the app's own repository, as is Repo.
type ChartVersion struct {
	Repo    string `json:"repo,omitempty"`
	Name    string `json:"name"`
	Version string `json:"version"`
	Digest  string `json:"digest,omitempty"`
}

// Capabilities are what a cluster told about itself.
type Capabilities struct {
	// KubeVersion is the server's version: "v1.37.2".
	KubeVersion string
	// APIVersions hold each served "group/version" and "group/version/Kind";
	// nil means the built-in ones of KubeVersion.
	APIVersions []string
	// Failing are the API groups of which the cluster could not tell what it
	// serves. A chart that mentions one, as "GROUP/", is ErrIncomplete, unless
	// the app pins its version; so is any chart when the group is built in.
	Failing []string
}

// Request is one chart to render.
type Request struct {
	// Tree holds the repository; it may be nil when nothing is read from it.
	Tree *source.Tree
	// Path is the app's path in the tree.
	Path string
	// Release and Namespace name the release.
	Release, Namespace string
	Options            Options
	Capabilities       Capabilities
	// Charts fetches charts from elsewhere; nil means that none may be.
	Charts *Charts
	// Now is the time that templates see; the zero value is 1970-01-01.
	Now time.Time
	// Timeout bounds each of the two runs of the templates; 0 means one minute.
	Timeout time.Duration
}

// Result is a rendered chart.
type Result struct {
	// Objects are as the chart writes them, namespaces too: those of crds/
	// first, then those of the templates, by path.
	Objects []object.Object
	Chart   ChartVersion
	// Dependencies are the charts that were fetched because the chart declares
	// them, without bringing them along.
	Dependencies []ChartVersion
	// Warnings are sentences for people, sorted as they came up.
	Warnings []string
	// Varying names the fields that differ between two renders, as JSON
	// pointers (RFC 6901), by the ID of the object in Objects.
	Varying map[object.ID][]string
	// Inputs are what was read of the tree, as source.Recorder.Reads gives it.
	Inputs []source.Entry
}
