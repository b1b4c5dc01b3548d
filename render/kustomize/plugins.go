package kustomize

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// plugin checks an entry of generators, transformers or validators: the
// configuration itself, a file that holds it, or a kustomization that loads it.
func (c *checker) plugin(field, entry string) {
	var text yaml.Node
	if err := yaml.Unmarshal([]byte(entry), &text); err == nil && len(text.Content) > 0 && text.Content[0].Kind != yaml.ScalarNode {
		c.pluginConfig(c.file, []byte(entry))
		return
	}
	if strings.Contains(entry, "\n") {
		c.errs = append(c.errs, fmt.Errorf("%s: %s: is neither a path nor the configuration of a plugin", c.file, field))
		return
	}
	c.resource(field, entry, true)
}

// pluginConfig checks the configuration of plugins. It looks at the text as the
// YAML parser of Kustomize sees it, before anchors, merges and repeated keys
// are resolved, so that nothing hides in them.
func (c *checker) pluginConfig(file string, data []byte) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			c.errs = append(c.errs, fmt.Errorf("%s: %w", file, discreet(err)))
			return
		}
		if len(node.Content) == 0 || node.Content[0].Tag == "!!null" {
			continue
		}
		if err := c.pluginDocument(node.Content[0]); err != nil {
			c.errs = append(c.errs, fmt.Errorf("%s: %w", file, err))
		}
	}
}

func (c *checker) pluginDocument(document *yaml.Node) error {
	if document.Kind != yaml.MappingNode {
		return errors.New("is not the configuration of a plugin")
	}
	builtin, kind := false, "a plugin"
	for i := 0; i+1 < len(document.Content); i += 2 {
		key, value := document.Content[i].Value, document.Content[i+1].Value
		switch {
		case strings.EqualFold(key, "apiVersion"):
			if value != "builtin" {
				return fmt.Errorf("%s of %q: %w", kind, value, ErrPlugin)
			}
			builtin = true
		case strings.EqualFold(key, "kind"):
			if strings.EqualFold(value, "HelmChartInflationGenerator") {
				return ErrHelm
			}
			kind = value
		}
	}
	if !builtin {
		return fmt.Errorf("%s: %w", kind, ErrPlugin)
	}
	return c.pluginPaths(document, "")
}

// pluginPaths checks every value whose key names a path, a file or a file of
// variables.
func (c *checker) pluginPaths(node *yaml.Node, key string) error {
	switch node.Kind {
	case yaml.AliasNode:
		if node.Alias.Kind == yaml.ScalarNode {
			return c.pluginPaths(node.Alias, key)
		}
		return errors.New("aliases of mappings and lists cannot be used in the configuration of a plugin")
	case yaml.ScalarNode:
		return c.pluginPath(key, node.Value)
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			name := strings.ToLower(node.Content[i].Value)
			if name == "config.kubernetes.io/function" || name == "config.k8s.io/function" {
				return fmt.Errorf("annotation %s: %w", name, ErrPlugin)
			}
			if node.Content[i].Kind != yaml.ScalarNode {
				return errors.New("aliases and mappings cannot be keys in the configuration of a plugin")
			}
			if err := c.pluginPaths(node.Content[i+1], name); err != nil {
				return err
			}
		}
	default:
		for _, child := range node.Content {
			if err := c.pluginPaths(child, key); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *checker) pluginPath(key, value string) error {
	loads := strings.Contains(key, "path") || strings.Contains(key, "file") || strings.HasPrefix(key, "env")
	if !loads || strings.Contains(value, "\n") {
		return nil
	}
	_, after, _ := strings.Cut(value, "=")
	for _, name := range []string{value, after} {
		if isRemote(name) {
			return fmt.Errorf("%s: %s: %w", key, withoutCredentials(name), ErrRemote)
		}
	}
	return nil
}
