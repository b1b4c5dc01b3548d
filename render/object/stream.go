package object

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v2"
	yamlnode "go.yaml.in/yaml/v3"
)

// decodeYAML reads the documents of a YAML stream. After an error in the syntax
// nothing can be read any more; after one in the values the stream goes on.
// Strict refuses a key that occurs twice in a mapping.
func decodeYAML(data []byte, strict bool) []document {
	documents := decodeValues(data, strict)
	if !strict || !bytes.Contains(data, []byte("<<")) {
		return documents
	}
	// The strict decoder takes a key that overrides a merged one (<<: *base)
	// for a duplicate, which kubectl does not: find the real duplicates.
	lenient := decodeValues(data, false)
	duplicates := duplicateKeys(data)
	for i := range documents {
		if documents[i].err != nil && i < len(lenient) && i < len(duplicates) && duplicates[i] == "" {
			documents[i] = lenient[i]
		}
	}
	return documents
}

func decodeValues(data []byte, strict bool) []document {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.SetStrict(strict)
	var documents []document
	for {
		var value any
		err := decoder.Decode(&value)
		var typeError *yaml.TypeError
		switch {
		case errors.Is(err, io.EOF):
			return documents
		case errors.As(err, &typeError):
			documents = append(documents, document{err: errors.New(discreet(strings.Join(typeError.Errors, "; ")))})
		case err != nil:
			return append(documents, document{err: errors.New(discreet(strings.TrimPrefix(err.Error(), "yaml: ")))})
		default:
			d := document{}
			d.value, d.err = jsonable(value)
			documents = append(documents, d)
		}
	}
}

// quoted finds the values that the YAML decoder repeats in its messages.
var quoted = regexp.MustCompile("`[^`]*`")

// discreet takes the file's own values out of a message, since they may be
// those of a Secret.
func discreet(message string) string {
	if before, _, found := strings.Cut(message, "invalid map key: "); found {
		return before + "a mapping or a list cannot be a key (is this a template?)"
	}
	return quoted.ReplaceAllString(message, "`…`")
}

// duplicateKeys gives, for each document of a YAML stream, the first key that
// is written twice in one mapping, or nothing.
func duplicateKeys(data []byte) []string {
	decoder := yamlnode.NewDecoder(bytes.NewReader(data))
	var found []string
	for {
		var node yamlnode.Node
		if err := decoder.Decode(&node); err != nil {
			return found
		}
		found = append(found, duplicateKey(&node))
	}
}

func duplicateKey(node *yamlnode.Node) string {
	seen := map[string]bool{}
	for i, child := range node.Content {
		if node.Kind == yamlnode.MappingNode && i%2 == 0 && child.Kind == yamlnode.ScalarNode {
			if seen[child.Value] {
				return fmt.Sprintf("line %d: key %q", child.Line, child.Value)
			}
			seen[child.Value] = true
		}
		if key := duplicateKey(child); key != "" {
			return key
		}
	}
	return ""
}
