package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"tidemark.dev/tidemark/state"
)

// Trust says who wrote a configuration. The zero value is the operator, who
// wrote a file of the machine that Tidemark runs on.
type Trust struct {
	// Committed: it is content of a repository. It may name apps, repositories
	// and Secrets of one namespace, but no file or variable of the runner, and
	// neither state nor cluster.
	Committed bool
	// Namespace is the one whose Secrets a committed configuration may name:
	// whoever writes it chooses the host that their passwords are sent to.
	Namespace string
}

// Parse reads a configuration and fills in its defaults; file is what errors
// call it. The error is an *Error with every problem there is; the Config beside
// it holds what could be read, and is good for finding the state, where the
// record of the failure goes.
func Parse(file string, data []byte, trust Trust) (Config, error) {
	notes := &problems{file: file, schema: configSchema, lines: map[string]int{}}
	var c Config
	if !decodeYAML(data, &c, notes) {
		return c, notes.err()
	}
	if c.APIVersion != "" && c.APIVersion != APIVersion {
		return Config{}, notes.otherVersion(c.APIVersion)
	}
	check{problems: notes, config: c, trust: trust}.all()
	if err := notes.err(); err != nil {
		return c, err
	}
	return c.complete(), nil
}

// complete fills in the defaults.
func (c Config) complete() Config {
	c.Kind = Kind
	c.Audit.Unchanged = or(c.Audit.Unchanged, "every")
	c.Audit.Retention = or(c.Audit.Retention, state.Duration(90*24*time.Hour))
	c.History.Keep = or(c.History.Keep, new(defaultKeep))
	apps := make([]App, len(c.Apps))
	for i, a := range c.Apps {
		needs := a.NeedsRepository()
		apps[i] = a.withDefaults(c.Defaults)
		switch {
		case !needs:
			apps[i].Source = Source{}
		case apps[i].Source.Repo == "" && len(c.Repositories) == 1:
			apps[i].Source.Repo = c.Repositories[0].Name
		}
	}
	c.Apps, c.Defaults = apps, Defaults{}
	return c
}

// Digest covers the whole configuration with its defaults. No credential is in
// it, since none is in the configuration.
func (c Config) Digest() string {
	data, err := json.Marshal(c)
	if err != nil {
		// Every field of it was read from YAML.
		panic(err)
	}
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
