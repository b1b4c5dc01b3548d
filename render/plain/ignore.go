package plain

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"tidemark.dev/tidemark/render/source"
)

// ignoreFiles are the names of files that say what is left out, in the order
// in which they count: a later one can take in again what an earlier one left
// out.
func ignoreFiles() []string { return []string{".sourceignore", ".tidemarkignore"} }

// ignoreFile holds the patterns of one ignore file; they speak of paths below
// its directory.
type ignoreFile struct {
	file     string
	dir      string
	patterns []pattern
}

// ignores are the ignore files of a directory and all directories above it,
// from the root of the repository down. It is never edited.
type ignores []ignoreFile

// enter gives the ignores that count inside a directory.
func (g ignores) enter(reads *source.Recorder, dir string) (ignores, error) {
	g = slices.Clip(g)
	for _, name := range ignoreFiles() {
		file := path.Join(dir, name)
		data, err := reads.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		read := ignoreFile{file: file, dir: dir}
		for i, line := range strings.Split(string(data), "\n") {
			p, ok, err := parsePattern(line)
			if err != nil {
				return nil, fmt.Errorf("%s: line %d: %w", file, i+1, err)
			}
			if ok {
				read.patterns = append(read.patterns, p)
			}
		}
		g = append(g, read)
	}
	return g, nil
}

// by gives the ignore file that leaves out a path, or nothing. The caller has
// asked for the directories above the path before: what lies in a directory
// that is left out cannot be taken in again.
func (g ignores) by(name string, isDir bool) string {
	for _, file := range slices.Backward(g) {
		relative, below := strings.CutPrefix(name, file.dir+"/")
		if file.dir == "." {
			relative, below = name, true
		}
		if !below {
			continue
		}
		for _, p := range slices.Backward(file.patterns) {
			if (p.dirOnly && !isDir) || !p.match.MatchString(relative) {
				continue
			}
			if p.negated {
				return ""
			}
			return file.file
		}
	}
	return ""
}
