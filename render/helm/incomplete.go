package helm

import (
	"encoding/json"
	"fmt"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/v2"
)

// complete makes sure that a chart asks for nothing that the cluster could not
// tell. What templates ask for is known only when they run, and may hang on what
// they are told, so that it goes by what is written in them.
func complete(c *v2.Chart, top common.Values, failing []string) error {
	for _, group := range failing {
		where := mentions(c, group)
		switch {
		case isBuiltIn(group):
			where = "chart " + c.Name()
		case where != "":
		case asks(merged(top), group):
			where = "the values of chart " + c.Name()
		default:
			continue
		}
		return fmt.Errorf("%s: %w: %s: repair its APIService, or pin kubeVersion (and apiVersions, for what it serves)", where, ErrIncomplete, group)
	}
	return nil
}

// mentions gives the first file of a chart, or of a subchart that counts, in
// which a group is asked for.
func mentions(c *v2.Chart, group string) string {
	for _, f := range c.Templates {
		if names(f.Data, group) {
			return c.ChartFullPath() + "/" + f.Name
		}
	}
	// These may be run by tpl.
	for _, f := range c.Files {
		if asks(f.Data, group) {
			return c.ChartFullPath() + "/" + f.Name
		}
	}
	for _, sub := range c.Dependencies() {
		if file := mentions(sub, group); file != "" {
			return file
		}
	}
	return ""
}

// asks tells texts that may be templates, and name a group in asking for it,
// from those that only name it.
func asks(text []byte, group string) bool {
	return strings.Contains(string(text), "Capabilities") && names(text, group)
}

// names says whether "GROUP/" stands in a text, not as the end of another group.
func names(text []byte, group string) bool {
	rest := string(text)
	for {
		before, after, found := strings.Cut(rest, group+"/")
		if !found {
			return false
		}
		if before == "" || !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789.-", rune(before[len(before)-1])) {
			return true
		}
		rest = after
	}
}

// merged gives the values that templates see, as text.
func merged(top common.Values) []byte {
	text, err := json.Marshal(top["Values"])
	if err != nil {
		return nil // They were read from YAML and JSON.
	}
	return text
}

// isBuiltIn says whether every Kubernetes serves a group.
func isBuiltIn(group string) bool {
	for _, k := range builtInKinds() {
		if of, _, has := strings.Cut(k.version, "/"); has && of == group || !has && group == "" {
			return true
		}
	}
	return false
}
