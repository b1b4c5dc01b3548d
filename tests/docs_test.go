package tests

import (
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tidemark.dev/tidemark/tests/binary"
)

func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, page := range pages(t) {
		for _, found := range link.FindAllStringSubmatch(prose(read(t, page)), -1) {
			target, anchor, _ := strings.Cut(found[1], "#")
			if strings.Contains(target, ":") {
				continue // another site's
			}
			file := page
			if target != "" {
				file = path.Join(path.Dir(page), target)
			}
			if _, err := os.Stat(filepath.Join("..", file)); err != nil {
				t.Errorf("%s links to %s, which is not there", page, found[1])
				continue
			}
			if anchor != "" && path.Ext(file) == ".md" && !slices.Contains(anchors(read(t, file)), anchor) {
				t.Errorf("%s links to %s, and %s has no such heading", page, found[1], file)
			}
		}
	}
}

func TestMakeTargetsExist(t *testing.T) {
	targets := map[string]bool{}
	for _, found := range regexp.MustCompile(`(?m)^([a-z0-9-]+):`).FindAllStringSubmatch(read(t, "Makefile"), -1) {
		targets[found[1]] = true
	}
	named := regexp.MustCompile(`\bmake ([a-z][a-z0-9-]*)`)
	for _, page := range pages(t) {
		for _, code := range codes(read(t, page)) {
			for _, found := range named.FindAllStringSubmatch(code, -1) {
				if !targets[found[1]] {
					t.Errorf("%s: `make %s` is not in the Makefile", page, found[1])
				}
			}
		}
	}
}

// TestCommandsExist holds each tidemark command in the documentation against that command's own help.
func TestCommandsExist(t *testing.T) {
	call := regexp.MustCompile(`(?:^|[\s/;&|$(])tidemark ([a-z][^\n;&|]*)`)
	flag := regexp.MustCompile(`(?:^|\s)(--?[a-z][a-z-]*)`)
	for _, page := range pages(t) {
		for _, code := range codes(read(t, page)) {
			code = strings.ReplaceAll(code, "\\\n", " ")
			for _, found := range call.FindAllStringSubmatch(code, -1) {
				text, _, _ := strings.Cut(found[1], "#")
				words := slices.Collect(untilFlag(strings.Fields(text)))
				help, ok := helpOf(t, words)
				if !ok {
					t.Errorf("%s: there is no `tidemark %s`", page, strings.Join(words, " "))
					continue
				}
				for _, f := range flag.FindAllStringSubmatch(text, -1) {
					if !regexp.MustCompile(`(?m)(^|[\s,])` + regexp.QuoteMeta(f[1]) + `\b`).MatchString(help) {
						t.Errorf("%s: `tidemark %s` knows no %s", page, strings.TrimSpace(text), f[1])
					}
				}
			}
		}
	}
}

func TestExitCodesAreTold(t *testing.T) {
	help := run(t, "--help")
	want := map[string]string{}
	for _, found := range regexp.MustCompile(`(?m)^ +(\d+)  (.+)$`).FindAllStringSubmatch(help, -1) {
		want[found[1]] = found[2]
	}
	if len(want) < 5 {
		t.Fatalf("tidemark --help tells no exit codes:\n%s", help)
	}
	readme := read(t, "README.md")
	got := map[string]string{}
	for _, found := range regexp.MustCompile("(?m)^\\| `?(\\d+)`? \\| (.+?) \\|$").FindAllStringSubmatch(readme, -1) {
		got[found[1]] = strings.ReplaceAll(found[2], "`", "")
	}
	for _, code := range slices.Sorted(maps.Keys(want)) {
		if got[code] != want[code] {
			t.Errorf("exit code %s: README.md says %q, tidemark --help %q", code, got[code], want[code])
		}
	}
	for _, code := range slices.Sorted(maps.Keys(got)) {
		if _, known := want[code]; !known {
			t.Errorf("exit code %s: README.md says %q, tidemark --help nothing", code, got[code])
		}
	}
}

func TestChangelogNamesEachCommand(t *testing.T) {
	changelog := read(t, "CHANGELOG.md")
	if !strings.Contains(changelog, "\n## Unreleased\n") {
		t.Error("CHANGELOG.md has no heading \"## Unreleased\"")
	}
	_, list, _ := strings.Cut(run(t, "--help"), "Available Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	for line := range strings.Lines(list) {
		name := strings.Fields(line)[0]
		if name != "help" && name != "completion" && !strings.Contains(changelog, "tidemark "+name) {
			t.Errorf("CHANGELOG.md does not mention `tidemark %s`", name)
		}
	}
}

// pages are the repository's Markdown files.
func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, file := range tracked(t) {
		if path.Ext(file) == ".md" && !strings.Contains(file, "testdata/") {
			all = append(all, file)
		}
	}
	return all
}

// read reads a file by its path in the repository.
func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

var fence = regexp.MustCompile("(?ms)^ *```[^\n]*\n(.*?)^ *```")

var span = regexp.MustCompile("`([^`\n]+)`")

// prose is the page without its blocks of code.
func prose(page string) string { return fence.ReplaceAllString(page, "") }

// codes are the page's blocks and spans of code.
func codes(page string) []string {
	var all []string
	for _, found := range fence.FindAllStringSubmatch(page, -1) {
		all = append(all, found[1])
	}
	for _, found := range span.FindAllStringSubmatch(prose(page), -1) {
		all = append(all, found[1])
	}
	return all
}

// anchors are the names under which GitHub links to the page's headings.
func anchors(page string) []string {
	var all []string
	for _, found := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(prose(page), -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N}\-_ ]`).ReplaceAllString(strings.ToLower(found[1]), "")
		all = append(all, strings.ReplaceAll(name, " ", "-"))
	}
	return all
}

// untilFlag gives the command's words: what stands before flags, placeholders and other arguments.
func untilFlag(fields []string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, field := range fields {
			if !regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`).MatchString(field) || !yield(field) {
				return
			}
		}
	}
}

// helpOf is the help of the command that the words name. Words behind a command that takes arguments are left alone.
func helpOf(t *testing.T, words []string) (help string, ok bool) {
	t.Helper()
	if words[0] == "help" || words[0] == "completion" {
		return "", true
	}
	result, err := binary.Run(t.Context(), nil, append(slices.Clone(words), "--help")...)
	if err != nil {
		t.Fatal(err)
	}
	// Cobra gives the nearest command's help; that of another is told by its usage line.
	return result.Stdout, result.Exit == 0 && strings.Contains(result.Stdout, "Usage:\n  tidemark "+words[0])
}

// run is what tidemark prints.
func run(t *testing.T, args ...string) string {
	t.Helper()
	result, err := binary.Run(t.Context(), nil, args...)
	if err != nil {
		t.Fatal(err)
	}
	if result.Exit != 0 {
		t.Fatalf("tidemark %s: exit code %d\n%s", strings.Join(args, " "), result.Exit, result.Stderr)
	}
	return result.Stdout
}
