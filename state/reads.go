package state

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Reads is what the last successful rendering of each app read of its
// repository: a cache, one per ledger, that may be lost without harm. A commit
// that changed nothing of it needs no new rendering.
type Reads struct {
	// Apps holds the apps by name. An app whose last run did not succeed is not
	// among them.
	Apps map[string]AppReads
}

// AppReads is what one app's rendering read.
type AppReads struct {
	// Rest is the digest over everything but the files that the rendering
	// depended on.
	Rest string
	// Outline says in few questions what Whole says in all: when its answers are
	// the same, so are those.
	Outline, Whole Asked
}

// Asked is what was asked of a repository, and one digest over what it answered:
// see source.Questions and source.Answers. The answers themselves would tell of
// each file what it holds, of Secrets too.
type Asked struct {
	// Questions are lines.
	Questions string
	Answers   string
}

// reads is the first line of what is stored. Below it are the questions, which
// are as many as there are files, app by app: first those of the outline.
type reads struct {
	Format int       `json:"format"`
	Read   []appRead `json:"read"`
	// Apps was written before there were outlines, and says nothing about them.
	Apps json.RawMessage `json:"apps,omitempty"`
}

type appRead struct {
	Name    string `json:"name"`
	Rest    string `json:"rest"`
	Outline asked  `json:"outline"`
	Whole   asked  `json:"whole"`
}

type asked struct {
	// Bytes is the length of the questions.
	Bytes   int    `json:"bytes"`
	Answers string `json:"answers"`
}

// Encode gives the bytes to store.
func (r Reads) Encode() ([]byte, error) {
	stored := reads{Format: Format, Read: []appRead{}}
	var all bytes.Buffer
	add := func(a Asked) asked {
		all.WriteString(a.Questions)
		return asked{Bytes: len(a.Questions), Answers: a.Answers}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Apps)) {
		a := r.Apps[name]
		stored.Read = append(stored.Read, appRead{Name: name, Rest: a.Rest, Outline: add(a.Outline), Whole: add(a.Whole)})
	}
	head, err := encode(stored)
	if err != nil {
		return nil, fmt.Errorf("encode what was read: %w", err)
	}
	return slices.Concat(head, []byte("\n"), all.Bytes()), nil
}

// DecodeReads reads what Encode gave. Anything else is ErrDamaged, or ErrNewer;
// the caller may then go on without it.
func DecodeReads(data []byte) (Reads, error) {
	head, rest, _ := strings.Cut(string(data), "\n")
	var stored reads
	if err := decode([]byte(head), &stored); err != nil {
		return Reads{}, fmt.Errorf("decode what was read: %w", err)
	}
	cut := func(a asked) (Asked, error) {
		if a.Bytes < 0 || a.Bytes > len(rest) {
			return Asked{}, ErrDamaged
		}
		questions := rest[:a.Bytes]
		rest = rest[a.Bytes:]
		return Asked{Questions: questions, Answers: a.Answers}, nil
	}
	r := Reads{Apps: make(map[string]AppReads, len(stored.Read))}
	for _, app := range stored.Read {
		outline, err := cut(app.Outline)
		whole, also := cut(app.Whole)
		if err != nil || also != nil {
			return Reads{}, fmt.Errorf("decode what was read: %w: the questions of app %q are cut off", ErrDamaged, app.Name)
		}
		r.Apps[app.Name] = AppReads{Rest: app.Rest, Outline: outline, Whole: whole}
	}
	if rest != "" {
		return Reads{}, fmt.Errorf("decode what was read: %w: %d bytes belong to no app", ErrDamaged, len(rest))
	}
	return r, nil
}
