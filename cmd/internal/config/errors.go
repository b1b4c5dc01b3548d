package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing wrong with a configuration.
type Problem struct {
	// Line counts from 1; 0 when the trouble has no place of its own.
	Line int
	// Field is the path of the field, "apps[0].source.path"; empty for the
	// whole file.
	Field   string
	Message string
}

// The published schemas, files of this package.
const (
	configSchema = "tidemark.schema.json"
	fleetSchema  = "fleet.schema.json"
)

// Error holds everything that is wrong with a configuration or a fleet file.
type Error struct {
	File string
	// Schema is the name of the published schema that describes such files.
	Schema   string
	Problems []Problem
}

// Error gives one line for each problem: file, line, field and what is wrong.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = e.File
		if p.Line > 0 {
			lines[i] += fmt.Sprintf(":%d", p.Line)
		}
		if p.Field != "" {
			lines[i] += ": " + p.Field
		}
		lines[i] += ": " + p.Message
	}
	return strings.Join(lines, "\n")
}

// problems collects, and knows the line of each field that was read.
type problems struct {
	file, schema string
	found        []Problem
	lines        map[string]int
}

// add notes a problem at a field, which may be one that is missing: then the
// line is that of the nearest field around it.
func (p *problems) add(field, format string, args ...any) {
	p.at(p.line(field), field, format, args...)
}

func (p *problems) at(line int, field, format string, args ...any) {
	p.found = append(p.found, Problem{Line: line, Field: field, Message: fmt.Sprintf(format, args...)})
}

func (p *problems) line(field string) int {
	for {
		if line, ok := p.lines[field]; ok {
			return line
		}
		end := strings.LastIndexAny(field, ".[")
		if end < 0 {
			return p.lines[""]
		}
		field = field[:end]
	}
}

// err gives what was collected, in the order of lines, or nil.
func (p *problems) err() error {
	if len(p.found) == 0 {
		return nil
	}
	slices.SortStableFunc(p.found, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Field, b.Field))
	})
	return &Error{File: p.file, Schema: p.schema, Problems: p.found}
}

// otherVersion gives the only problem of a file whose format is of another
// version: nothing else is known of it.
func (p *problems) otherVersion(version string) error {
	line := p.line("apiVersion")
	p.found = nil
	p.at(line, "apiVersion", "is %q; this Tidemark reads %q", version, APIVersion)
	return p.err()
}
