package main

import (
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// bill tells what is in a program, as its own build information has it, in CycloneDX's words.
//
// https://cyclonedx.org/docs/1.6/json/
func (r release) bill(program string) ([]byte, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, fmt.Errorf("read what the program was built from: %w", err)
	}
	self := component{Type: "application", Ref: "tidemark", Name: "tidemark", Version: r.version, PURL: purl(info.Main.Path, r.version)}
	language := component{Type: "library", Name: "std", Version: strings.TrimPrefix(info.GoVersion, "go")}
	language.PURL = purl("stdlib", language.Version)
	language.Ref = language.PURL
	components, needs := []component{language}, []string{language.Ref}
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		c := component{Type: "library", Name: module.Path, Version: module.Version, PURL: purl(module.Path, module.Version)}
		c.Ref = c.PURL
		if module.Sum != "" {
			// Go's own digest of a module is of no kind that the format knows.
			c.Properties = []property{{"go:sum", module.Sum}}
		}
		components, needs = append(components, c), append(needs, c.Ref)
	}
	document, err := json.MarshalIndent(map[string]any{
		"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
		"metadata":     map[string]any{"timestamp": r.created.Format(time.RFC3339), "component": self},
		"components":   components,
		"dependencies": []map[string]any{{"ref": self.Ref, "dependsOn": needs}},
	}, "", "  ")
	return append(document, '\n'), err
}

type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version"`
	PURL       string     `json:"purl"`
	Properties []property `json:"properties,omitempty"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// purl names a Go module as others' databases do.
//
// https://github.com/package-url/purl-spec
func purl(module, version string) string {
	return "pkg:golang/" + module + "@" + strings.ReplaceAll(version, "+", "%2B")
}
