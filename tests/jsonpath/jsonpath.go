// Package jsonpath finds values in JSON by paths that a script can write: apps[shop].counts.created.
package jsonpath

import (
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// Document reads JSON to its end; numbers stay as they were written.
func Document(data string) (document any, err error) {
	decoder := json.NewDecoder(strings.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&document); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows after it")
	}
	return document, nil
}

// At finds what is at a path such as apps[shop].counts.created or metadata.labels[tidemark.dev/app]. In brackets stands a
// field, or the number or name of an element. "length" of a list is its length.
func At(value any, path string) (any, bool) {
	for _, step := range regexp.MustCompile(`\[[^\]]*\]|[^.\[\]]+`).FindAllString(path, -1) {
		name := strings.Trim(step, "[]")
		switch outer := value.(type) {
		case map[string]any:
			value = outer[name]
		case []any:
			if i := index(outer, name); i >= 0 {
				value = outer[i]
			} else if value = nil; name == "length" {
				value = len(outer)
			}
		default:
			return nil, false
		}
	}
	return value, value != nil
}

// index finds the element of that number, or that is called so.
func index(list []any, name string) int {
	if i, err := strconv.Atoi(name); err == nil && i < len(list) {
		return i
	}
	for i, element := range list {
		for _, field := range []string{"name", "app", "id.name", "reason", "path", "type"} {
			if got, _ := At(element, field); got == name {
				return i
			}
		}
	}
	return -1
}

// Text gives a value as scripts write it: a string as it is, everything else as JSON.
func Text(value any) string {
	if s, isText := value.(string); isText {
		return s
	}
	data, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(data)
}
