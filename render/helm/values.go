package helm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"helm.sh/helm/v4/pkg/chart/v2/loader"

	"tidemark.dev/tidemark/render/source"
)

// values gives what the app sets: its value files in order, then its inline
// values. Mappings are merged, anything else is replaced; a null stays, and
// later deletes what the chart sets.
func values(r *source.Recorder, dir string, options Options) (map[string]any, error) {
	all := map[string]any{}
	for _, name := range options.ValueFiles {
		if name == "" || strings.Contains(name, "://") {
			return nil, fmt.Errorf("valueFiles: %q is not a path in the repository", name)
		}
		file := path.Join(dir, name)
		if path.IsAbs(name) {
			file = strings.TrimPrefix(path.Clean(name), "/")
		}
		data, err := r.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			if options.IgnoreMissingValueFiles {
				continue
			}
			return nil, fmt.Errorf("value file %w (set ignoreMissingValueFiles if it may be missing)", err)
		}
		if err != nil {
			return nil, fmt.Errorf("value file %w", err)
		}
		set, err := loader.LoadValues(bytes.NewReader(withoutMark(data)))
		if err != nil {
			return nil, fmt.Errorf("value file %s: %w", file, err)
		}
		all = loader.MergeMaps(all, set)
	}
	inline, err := plain(options.Values)
	if err != nil {
		return nil, fmt.Errorf("values: %w", err)
	}
	return loader.MergeMaps(all, inline), nil
}

// plain gives values as Helm reads them from a file, whatever decoded them:
// every number a float64.
func plain(set map[string]any) (map[string]any, error) {
	data, err := json.Marshal(set)
	if err != nil {
		return nil, err
	}
	var decoded map[string]any
	err = json.Unmarshal(data, &decoded)
	return decoded, err
}
