package source

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
)

// Recorder reads a Tree and remembers what it read, so that a later tree can
// be asked whether the same reads would give the same answers. It is safe for
// concurrent use.
type Recorder struct {
	tree *Tree

	mu    sync.Mutex
	reads map[question]Entry
}

// question is one thing that was asked of a path.
type question struct {
	about byte
	path  string
}

// What is asked of a path.
const (
	askFile   = 'f' // what the file holds
	askList   = 'd' // what is in the directory
	askPlace  = 'p' // where it is, when all links are followed, and of what mode
	askAbsent = 'a' // whether it is there; it was not
	askTree   = 't' // what is in the directory and everything below it
)

// NewRecorder makes a Recorder that has read nothing yet.
func NewRecorder(t *Tree) *Recorder { return &Recorder{tree: t, reads: map[question]Entry{}} }

// Resolve is Tree.Resolve. Where a path leads is remembered, since whoever goes on
// from there reads by the paths of that place.
func (r *Recorder) Resolve(name string) (Entry, error) {
	e, err := r.tree.Resolve(name)
	asked := path.Clean(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.remember(askAbsent, Entry{Path: asked})
	case err == nil:
		r.remember(askPlace, Entry{Path: asked, Mode: e.Mode, Hash: place(e)})
	}
	return e, err
}

// ReadFile is Tree.ReadFile.
func (r *Recorder) ReadFile(name string) ([]byte, error) {
	e, err := r.find(name)
	if err != nil {
		return nil, err
	}
	data, err := r.tree.ReadFile(name)
	if err == nil {
		e.Path = path.Clean(name)
		r.remember(askFile, e)
	}
	return data, err
}

// ReadDir is Tree.ReadDir.
func (r *Recorder) ReadDir(name string) ([]Entry, error) {
	if _, err := r.find(name); err != nil {
		return nil, err
	}
	entries, err := r.tree.ReadDir(name)
	if err == nil {
		r.remember(askList, Entry{Path: path.Clean(name), Mode: Directory, Hash: listing(entries)})
	}
	return entries, err
}

// find resolves a path whose content is about to be read by that very path: only
// that it is not there has to be remembered.
func (r *Recorder) find(name string) (Entry, error) {
	e, err := r.tree.Resolve(name)
	if errors.Is(err, fs.ErrNotExist) {
		r.remember(askAbsent, Entry{Path: path.Clean(name)})
	}
	return e, err
}

func (r *Recorder) remember(about byte, e Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads[question{about, e.Path}] = e
}

// Reads gives what was read, sorted by path. The path of an entry is the one
// that was asked for, links in it not resolved, and its hash is
//   - that of the content, for a file;
//   - "list:" and a SHA-256 over the names, modes and links in it, for a
//     directory;
//   - "at:", the mode and the path where it is when all links are followed, for
//     what was only looked for;
//   - empty for what was looked for and is not there.
func (r *Recorder) Reads() []Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	reads := slices.AppendSeq(make([]Entry, 0, len(r.reads)), maps.Values(r.reads))
	slices.SortFunc(reads, func(a, b Entry) int { return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Hash, b.Hash)) })
	return reads
}

const (
	listingPrefix = "list:"
	placePrefix   = "at:"
	treePrefix    = "tree:"
)

func listing(entries []Entry) string {
	hash := sha256.New()
	for _, e := range entries {
		fmt.Fprintf(hash, "%d %s\x00", e.Mode, e.Name())
		if e.Mode == Symlink {
			fmt.Fprintf(hash, "%s\x00", e.Hash)
		}
	}
	return listingPrefix + hex.EncodeToString(hash.Sum(nil))
}

func place(e Entry) string { return fmt.Sprintf("%s%d %s", placePrefix, e.Mode, e.Path) }

// Questions gives what was asked to read something, without the answers, each a
// line of a letter and a path: "f PATH" for a file, "d" for a directory, "p" for
// where something is, "a" for what is absent, "t" for a directory with all that
// is below it. What has a line break in its path cannot be asked for: ok is false.
func Questions(reads []Entry) (questions string, ok bool) {
	var lines strings.Builder
	for _, read := range reads {
		about := byte(askFile)
		switch {
		case read.Hash == "":
			about = askAbsent
		case strings.HasPrefix(read.Hash, listingPrefix):
			about = askList
		case strings.HasPrefix(read.Hash, placePrefix):
			about = askPlace
		case strings.HasPrefix(read.Hash, treePrefix):
			about = askTree
		}
		if strings.Contains(read.Path, "\n") {
			return "", false
		}
		lines.WriteByte(about)
		lines.WriteByte(' ')
		lines.WriteString(read.Path)
		lines.WriteByte('\n')
	}
	return lines.String(), true
}

// asked goes through questions.
func asked(questions string) iter.Seq2[byte, string] {
	return func(yield func(byte, string) bool) {
		for line := range strings.Lines(questions) {
			about, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			if len(about) != 1 || !yield(about[0], name) {
				return
			}
		}
	}
}

// Answers gives one digest over all that was read, in its order. It tells as much
// about the content of a file as the name of a commit does: nothing to whoever
// does not know all the rest.
func Answers(reads []Entry) string {
	hash := sha256.New()
	for _, read := range reads {
		fmt.Fprintf(hash, "%s\x00%s\x00", read.Path, read.Hash)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// FilesIn gives the paths of the files that questions are about.
func FilesIn(questions string) []string {
	var files []string
	for about, name := range asked(questions) {
		if about == askFile {
			files = append(files, name)
		}
	}
	return files
}

// Answer asks the questions of this tree and gives the digest of the answers, as
// Answers does. What cannot be answered has an answer that is never given
// otherwise.
func (t *Tree) Answer(questions string) string {
	reads := make([]Entry, 0, strings.Count(questions, "\n"))
	for about, name := range asked(questions) {
		reads = append(reads, Entry{Path: name, Hash: t.answer(about, name)})
	}
	return Answers(reads)
}

const unanswerable = "?"

func (t *Tree) answer(about byte, name string) string {
	e, err := t.Resolve(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ""
	case err != nil:
		return unanswerable
	}
	switch about {
	case askFile:
		if e.Mode == File || e.Mode == Executable {
			return e.Hash
		}
	case askList:
		if entries, err := t.ReadDir(name); err == nil {
			return listing(entries)
		}
	case askPlace:
		return place(e)
	case askTree:
		if e.Mode == Directory && e.Hash != "" && e.Path == path.Clean(name) {
			return treePrefix + e.Hash
		}
	}
	return unanswerable
}

// Outline gives fewer reads that tell no less: whatever lies in one of the
// directories is told by the one hash that git has for all that is below it, so
// that equal answers to the outline mean equal answers to everything; unequal ones
// mean nothing. A directory from which links may lead elsewhere stays as it is, and
// so does one that is not known in full.
func (t *Tree) Outline(reads []Entry, directories ...string) []Entry {
	var outline []Entry
	rest := reads
	for _, dir := range directories {
		dir = path.Clean(dir)
		hash := t.answer(askTree, dir)
		if !t.names.isPlain(dir) || !strings.HasPrefix(hash, treePrefix) {
			continue
		}
		outline = append(outline, Entry{Path: dir, Hash: hash})
		rest = slices.DeleteFunc(slices.Clone(rest), func(e Entry) bool { return e.Path == dir || below(e.Path, dir) })
	}
	return append(outline, rest...)
}

// below says whether a path lies in a directory.
func below(name, dir string) bool { return strings.HasPrefix(name, dir+"/") }

// Same says whether reading in this tree what was read of another would give
// the same answers. On any doubt, an error for one, it says no.
func (t *Tree) Same(reads []Entry) bool {
	questions, ok := Questions(reads)
	return ok && t.Answer(questions) == Answers(reads)
}
