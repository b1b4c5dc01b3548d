package config

import (
	"errors"
	"strings"

	"tidemark.dev/tidemark/render/git"
)

// Flags is the name of the repository in a configuration that Single made.
const Flags = "flags"

// Single gives the configuration of one app, as flags describe it. Credentials
// in the URL are left out.
func Single(app, repo string, ref git.Ref, path, namespace string) (Config, error) {
	c := Config{
		APIVersion:   APIVersion,
		Repositories: []Repository{{Name: Flags, URL: WithoutUserinfo(repo), Ref: ref}},
		Apps:         []App{{Name: app, Source: Source{Repo: Flags, Path: path}, Namespace: namespace}},
	}
	notes := &problems{lines: map[string]int{}}
	check{problems: notes, config: c}.apps()
	var errs []error
	for _, p := range notes.found {
		field := p.Field[strings.LastIndex(p.Field, ".")+1:]
		if field == "name" {
			field = "app"
		}
		errs = append(errs, errors.New("--"+field+": "+p.Message))
	}
	return c.complete(), errors.Join(errs...)
}

// WithoutUserinfo gives a repository's URL without the credentials in it; the
// user of an ssh URL is none.
func WithoutUserinfo(raw string) string {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok || strings.EqualFold(scheme, "ssh") {
		return raw
	}
	host, path, _ := strings.Cut(rest, "/")
	if at := strings.LastIndex(host, "@"); at >= 0 {
		return scheme + "://" + host[at+1:] + "/" + path
	}
	return raw
}
