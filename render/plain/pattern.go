package plain

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
)

// pattern is one line of a .gitignore file, or one glob of the options.
//
// https://git-scm.com/docs/gitignore#_pattern_format
type pattern struct {
	text    string
	negated bool
	dirOnly bool
	match   *regexp.Regexp
}

// parsePattern reads one pattern. Blank lines and comments are no pattern: ok
// is false.
func parsePattern(line string) (p pattern, ok bool, err error) {
	line = strings.TrimSuffix(line, "\r")
	for strings.HasSuffix(line, " ") && !strings.HasSuffix(line, `\ `) {
		line = line[:len(line)-1]
	}
	if line == "" || strings.HasPrefix(line, "#") {
		return pattern{}, false, nil
	}
	p.text = line
	if rest, found := strings.CutPrefix(line, "!"); found {
		p.negated, line = true, rest
	}
	if rest, found := strings.CutSuffix(line, "/"); found {
		p.dirOnly, line = true, rest
	}
	anchored := strings.Contains(line, "/")
	line = strings.TrimPrefix(line, "/")
	if line == "" {
		return pattern{}, false, fmt.Errorf("pattern %q names nothing", p.text)
	}
	expression, err := translate(line)
	if err != nil {
		return pattern{}, false, fmt.Errorf("pattern %q: %w", p.text, err)
	}
	if !anchored {
		expression = "(?:.*/)?" + expression
	}
	p.match, err = regexp.Compile("^(?s:" + expression + ")$")
	if err != nil {
		return pattern{}, false, fmt.Errorf("pattern %q is malformed", p.text)
	}
	return p, true, nil
}

// translate turns a glob into a regular expression.
func translate(glob string) (string, error) {
	var out strings.Builder
	for i := 0; i < len(glob); {
		rest := glob[i:]
		atStart := i == 0 || glob[i-1] == '/'
		switch {
		case atStart && strings.HasPrefix(rest, "**/"):
			out.WriteString("(?:.*/)?")
			i += 3
		case atStart && rest == "**":
			out.WriteString(".+")
			i += 2
		case rest[0] == '*':
			out.WriteString("[^/]*")
			i += len(rest) - len(strings.TrimLeft(rest, "*"))
		case rest[0] == '?':
			out.WriteString("[^/]")
			i++
		case rest[0] == '[':
			class, length, err := translateClass(rest)
			if err != nil {
				return "", err
			}
			out.WriteString(class)
			i += length
		case rest[0] == '\\' && len(rest) > 1:
			out.WriteString(regexp.QuoteMeta(rest[1:2]))
			i += 2
		default:
			out.WriteString(regexp.QuoteMeta(rest[:1]))
			i++
		}
	}
	return out.String(), nil
}

// translateClass turns "[a-z]" or "[!a-z]" into the same of a regular
// expression, and gives its length in the glob.
func translateClass(glob string) (class string, length int, err error) {
	end := strings.IndexByte(glob[1:], ']')
	if end <= 0 {
		return "", 0, errors.New(`"[" is not closed`)
	}
	inner, length := glob[1:1+end], end+2
	negation := ""
	if inner[0] == '!' || inner[0] == '^' {
		negation, inner = "^/", inner[1:]
	}
	if inner == "" {
		return "", 0, errors.New(`"[]" names no character`)
	}
	inner = strings.NewReplacer(`\`, `\\`, `[`, `\[`, `^`, `\^`).Replace(inner)
	return "[" + negation + inner + "]", length, nil
}

// globs are the patterns of an option.
type globs []pattern

func parseGlobs(option string, texts []string) (globs, error) {
	var g globs
	for i, text := range texts {
		p, ok, err := parsePattern(text)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s[%d]: %w", option, i, err)
		case !ok || p.negated:
			return nil, fmt.Errorf("%s[%d]: %q is not a pattern for files", option, i, text)
		}
		g = append(g, p)
	}
	return g, nil
}

// match says whether a file or directory, by its path below the app's path, or
// a directory above it is named by a pattern.
func (g globs) match(name string, isDir bool) bool {
	for _, p := range g {
		if (isDir || !p.dirOnly) && p.match.MatchString(name) {
			return true
		}
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if p.match.MatchString(dir) {
				return true
			}
		}
	}
	return false
}
