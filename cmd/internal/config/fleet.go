package config

import (
	"fmt"
	"slices"

	"tidemark.dev/tidemark/render/git"
)

// FleetKind is the kind of a fleet file.
const FleetKind = "Fleet"

// Fleet lists ledgers that are brought up to date together: by one process, or
// by several that take a share each.
type Fleet struct {
	// APIVersion is the version of this format.
	APIVersion string `json:"apiVersion" required:"true" oneof:"tidemark.dev/v1alpha1"`
	// Kind may be left out.
	Kind string `json:"kind,omitempty" oneof:"Fleet"`
	// Defaults hold for each ledger that does not say otherwise.
	Defaults Origin `json:"defaults,omitzero"`
	// Ledgers are independent of each other: each has its state, its lease and
	// its records.
	Ledgers []Ledger `json:"ledgers" required:"true"`
}

// Ledger is one ledger of a fleet: a configuration, a cluster and a state.
type Ledger struct {
	// Name is unique in the fleet: at most 63 lower-case letters, digits and
	// hyphens. It decides which shard the ledger belongs to.
	Name string `json:"name" required:"true"`
	// State is the URL of the bucket and prefix, or the directory, that holds
	// this ledger and no other: s3://bucket/prefix, gs://bucket/prefix,
	// file:///directory.
	State string `json:"state" required:"true"`
	// Cluster is the target. Left out, it is what flags, else the configuration
	// say; a context alone is one of the kubeconfig of the flags.
	Cluster Cluster `json:"cluster,omitzero"`
	// Apps selects apps of the configuration by name. Default: all.
	Apps []string `json:"apps,omitempty"`
	// Origin says where the configuration is.
	Origin
}

// Origin says where the configuration of a ledger is.
type Origin struct {
	// Config is the path of the configuration: a file of this machine or, with
	// repo, a file in that repository.
	Config string `json:"config,omitempty"`
	// Repo is the URL or path of the repository that holds the configuration.
	// It holds no credentials. A ledger that names one takes neither ref nor
	// auth from the defaults.
	Repo string `json:"repo,omitempty"`
	// Ref of repo that is wanted. Default: the remote's HEAD.
	Ref git.Ref `json:"ref,omitzero"`
	// Auth is what the server of repo is shown. Flags and variables of
	// credentials do not count in a fleet, so that none is shown to a server
	// that it was not meant for.
	Auth Auth `json:"auth,omitzero"`
}

// ParseFleet reads a fleet file and fills in its defaults; file is what errors
// call it. place gives one name to each place of a state, however its URL is
// written, and an error for what is none. The error is an *Error with every
// problem there is.
func ParseFleet(file string, data []byte, place func(state string) (string, error)) (Fleet, error) {
	notes := &problems{file: file, schema: fleetSchema, lines: map[string]int{}}
	var f Fleet
	if !decodeYAML(data, &f, notes) {
		return Fleet{}, notes.err()
	}
	if f.APIVersion != "" && f.APIVersion != APIVersion {
		return Fleet{}, notes.otherVersion(f.APIVersion)
	}
	check{problems: notes}.fleet(f, place)
	if err := notes.err(); err != nil {
		return Fleet{}, err
	}
	return f.complete(), nil
}

// complete fills in the defaults.
func (f Fleet) complete() Fleet {
	f.Kind = FleetKind
	f.Ledgers = slices.Clone(f.Ledgers)
	for i, l := range f.Ledgers {
		f.Ledgers[i].Origin = l.withDefaults(f.Defaults)
	}
	f.Defaults = Origin{}
	return f
}

// withDefaults gives the origin with what it leaves out filled in. What belongs
// to the repository of the defaults is never said of another one.
func (o Origin) withDefaults(d Origin) Origin {
	o.Config = or(o.Config, d.Config)
	if o.Repo == "" {
		o.Repo, o.Ref, o.Auth = d.Repo, or(o.Ref, d.Ref), or(o.Auth, d.Auth)
	}
	return o
}

func (c check) fleet(f Fleet, place func(string) (string, error)) {
	if len(f.Ledgers) == 0 && len(c.found) == 0 {
		c.add("ledgers", "holds no ledger")
	}
	c.origin("defaults", f.Defaults)
	names, places := map[string]int{}, map[string]int{}
	for i, l := range f.Ledgers {
		field := fmt.Sprintf("ledgers[%d]", i)
		c.unique(names, field+".name", l.Name)
		c.cluster(field+".cluster", l.Cluster)
		c.origin(field, l.Origin)
		whole := l.withDefaults(f.Defaults)
		switch {
		case whole.Config == "":
			c.add(field+".config", "is required: give the path of the configuration, here or in defaults")
		case whole.Repo == "" && (whole.Ref != git.Ref{} || whole.Auth != Auth{}):
			c.add(field+".repo", "is required beside ref and auth")
		}
		if slices.Contains(l.Apps, "") {
			c.add(field+".apps", "holds an empty name")
		}
		if l.State == "" {
			continue // told as a missing field
		}
		at, err := place(l.State)
		first, twice := places[at]
		switch {
		case err != nil:
			c.add(field+".state", "%v", err)
		case twice:
			c.add(field+".state", "is that of ledger %q too, on line %d: no two ledgers share a state", f.Ledgers[first].Name, c.line(fmt.Sprintf("ledgers[%d].state", first)))
		default:
			places[at] = i
		}
	}
}

func (c check) origin(field string, o Origin) {
	c.noUserinfo(field+".repo", o.Repo)
	c.ref(field+".ref", o.Ref)
	c.auth(field+".auth", o.Auth)
}
