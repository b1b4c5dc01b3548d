package helm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/Masterminds/sprig/v3"
	"sigs.k8s.io/yaml"
	yamlnode "sigs.k8s.io/yaml/goyaml.v3"
)

const maxMessage = 2000

var (
	// place finds where a template error happened, in text/template's words.
	place = regexp.MustCompile(`(?s)template: (\S+): executing ".*?" at <.*?>: `)
	// calling finds the functions whose names add nothing to a message.
	calling = regexp.MustCompile(`error calling (include|tpl|fail|required): `)
)

// functions gives what templates may call: Sprig's functions and Helm's, as
// https://helm.sh/docs/chart_template_guide/function_list/ has them, without
// those that look at the machine. include and tpl are added by run.bind.
//
// The clock stands still at now, and times are in UTC, whatever the machine's
// time zone. keys and values, which Sprig gives in random order, are sorted, so
// that only what a chart really draws by lot differs between two runs.
func functions(now time.Time) template.FuncMap {
	f := sprig.TxtFuncMap()
	for _, name := range []string{"env", "expandenv"} {
		delete(f, name)
	}
	maps.Copy(f, template.FuncMap{
		"getHostByName": func(string) string { return "" },
		"lookup":        func(string, string, string, string) map[string]any { return map[string]any{} },
		"required":      required,
		"fail":          func(message string) (string, error) { return "", errors.New(message) },

		"toYaml":        func(v any) string { return lenient(asYAML(v)) },
		"mustToYaml":    asYAML,
		"toYamlPretty":  func(v any) string { return lenient(asPrettyYAML(v)) },
		"fromYaml":      func(text string) map[string]any { return mapping(text, unmarshalYAML) },
		"fromYamlArray": func(text string) []any { return sequence(text, unmarshalYAML) },
		"toJson":        func(v any) string { return lenient(asJSON(v)) },
		"mustToJson":    asJSON,
		"fromJson":      func(text string) map[string]any { return mapping(text, json.Unmarshal) },
		"fromJsonArray": func(text string) []any { return sequence(text, json.Unmarshal) },
		"toToml":        toTOML,
		"mustToToml":    asTOML,
		"fromToml":      func(text string) map[string]any { return mapping(text, toml.Unmarshal) },

		"keys":   sortedKeys,
		"values": sortedValues,

		"repeat":    repeat,
		"until":     func(count int) ([]int, error) { return untilStep(0, count, sign(count)) },
		"untilStep": untilStep,
	})
	maps.Copy(f, dateFunctions(now))
	maps.Copy(f, durationFunctions())
	return f
}

func required(message string, value any) (any, error) {
	if value == nil || value == "" {
		return value, errors.New(message)
	}
	return value, nil
}

func asYAML(v any) (string, error) {
	data, err := yaml.Marshal(v)
	return strings.TrimSuffix(string(data), "\n"), err
}

func asPrettyYAML(v any) (string, error) {
	var b bytes.Buffer
	encoder := yamlnode.NewEncoder(&b)
	encoder.SetIndent(2)
	err := encoder.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

func asJSON(v any) (string, error) {
	data, err := json.Marshal(v)
	return string(data), err
}

func asTOML(v any) (string, error) {
	var b bytes.Buffer
	err := toml.NewEncoder(&b).Encode(v)
	return b.String(), err
}

// toTOML gives the error in place of the text, as Helm does.
func toTOML(v any) string {
	text, err := asTOML(v)
	if err != nil {
		return err.Error()
	}
	return text
}

// lenient gives nothing for what cannot be written: Helm's functions without
// "must" never fail.
func lenient(text string, err error) string {
	if err != nil {
		return ""
	}
	return text
}

func unmarshalYAML(data []byte, into any) error { return yaml.Unmarshal(data, into) }

// mapping reads a mapping; what cannot be read is told under the key Error, as
// Helm does.
func mapping(text string, unmarshal func([]byte, any) error) map[string]any {
	m := map[string]any{}
	if err := unmarshal([]byte(text), &m); err != nil {
		m["Error"] = err.Error()
	}
	return m
}

// sequence reads a list; what cannot be read is told in its one item.
func sequence(text string, unmarshal func([]byte, any) error) []any {
	list := []any{}
	if err := unmarshal([]byte(text), &list); err != nil {
		list = []any{err.Error()}
	}
	return list
}

func sortedKeys(dicts ...map[string]any) []string {
	all := []string{}
	for _, d := range dicts {
		all = append(all, slices.Sorted(maps.Keys(d))...)
	}
	return all
}

func sortedValues(d map[string]any) []any {
	all := []any{}
	for _, key := range slices.Sorted(maps.Keys(d)) {
		all = append(all, d[key])
	}
	return all
}

// maxCount bounds the lists of numbers that a template may ask for.
const maxCount = 1_000_000

func untilStep(start, stop, step int) ([]int, error) {
	numbers := []int{}
	for i := start; (step > 0 && i < stop) || (step < 0 && i > stop); i += step {
		if numbers = append(numbers, i); len(numbers) > maxCount {
			return nil, fmt.Errorf("gives more than %d numbers", maxCount)
		}
	}
	return numbers, nil
}

func sign(count int) int {
	if count < 0 {
		return -1
	}
	return 1
}

func repeat(count int, text string) (string, error) {
	if count > 0 && len(text) > maxOutput/count {
		return "", fmt.Errorf("gives more than %d MiB", maxOutput>>20)
	}
	return strings.Repeat(text, count), nil // a negative count panics, which is an error in a template
}
