package helm

import (
	"encoding/base64"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/gobwas/glob"
	"helm.sh/helm/v4/pkg/chart/common"
)

// files is what templates see as .Files: the chart's files that are neither
// templates nor subcharts, by path in the chart. Its methods are Helm's:
// https://helm.sh/docs/chart_template_guide/accessing_files/.
type files map[string][]byte

func newFiles(from []*common.File) files {
	f := make(files, len(from))
	for _, file := range from {
		f[file.Name] = file.Data
	}
	return f
}

// GetBytes gives the content of a file, empty when there is none.
func (f files) GetBytes(name string) []byte {
	if data, ok := f[name]; ok {
		return data
	}
	return []byte{}
}

// Get gives the content of a file as text, empty when there is none.
func (f files) Get(name string) string { return string(f[name]) }

// Glob gives the files whose paths match a pattern; "*" stops at slashes, "**"
// does not. A pattern that cannot be read matches everything, as in Helm.
func (f files) Glob(pattern string) files {
	matcher, err := glob.Compile(pattern, '/')
	if err != nil {
		matcher = glob.MustCompile("**")
	}
	matching := files{}
	for name, data := range f {
		if matcher.Match(name) {
			matching[name] = data
		}
	}
	return matching
}

// AsConfig gives the files as the data of a ConfigMap, by their base names.
func (f files) AsConfig() string {
	return f.asYAML(func(data []byte) string { return string(data) })
}

// AsSecrets gives the files as the data of a Secret, by their base names.
func (f files) AsSecrets() string { return f.asYAML(base64.StdEncoding.EncodeToString) }

// asYAML takes the last by path of files with the same base name.
func (f files) asYAML(encode func([]byte) string) string {
	if f == nil {
		return ""
	}
	data := make(map[string]string, len(f))
	for _, name := range slices.Sorted(maps.Keys(f)) {
		data[path.Base(name)] = encode(f[name])
	}
	return lenient(asYAML(data))
}

// Lines gives the lines of a file, without the empty one after the last.
func (f files) Lines(name string) []string {
	if len(f[name]) == 0 {
		return []string{}
	}
	return strings.Split(strings.TrimSuffix(string(f[name]), "\n"), "\n")
}
