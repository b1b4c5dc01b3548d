package state

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tidemark.dev/tidemark/render/object"
)

// Observation is what was seen of the ledger's objects last: a cache, one per
// ledger, that may be lost without harm. It repeats of each inventory what a run
// must know when nothing moved, so that such a run reads one blob, however many
// apps there are.
type Observation struct {
	// Kinds are those of the objects, as the server served them, each once.
	Kinds []SeenKind
	// Apps are sorted by name, each once.
	Apps []SeenApp
}

// SeenKind is a kind as the server served it.
type SeenKind struct {
	object.GroupKind
	// Version is the preferred one, and Resource the kind's name in paths
	// ("deployments"); both are empty when the kind was not served.
	Version    string `json:"version,omitempty"`
	Resource   string `json:"resource,omitempty"`
	Namespaced bool   `json:"namespaced,omitempty"`
}

// SeenApp is what was seen of one app's objects.
type SeenApp struct {
	Name string
	// Inventory is the hash of the inventory whose members these are.
	Inventory string
	// Members are sorted by ID, each once.
	Members []Seen

	// lines is how Members were stored, beside those kinds: what stays as it was
	// is not written anew.
	lines string
	kinds []SeenKind
}

// Seen is what was seen of one member of an inventory.
type Seen struct {
	ID     object.ID
	Origin Origin
	// Kept is Member.Kept.
	Kept bool
	// Known: the member was as it should be, and in no doubt. What follows is
	// empty otherwise.
	Known bool
	// UID is empty when the object was absent, and might be.
	UID             string
	ResourceVersion string
	Generation      int64
	// Digest is that of the managed fields entry of our own manager.
	Digest string
}

// App gives what was seen of an app.
func (o Observation) App(name string) (SeenApp, bool) {
	at, found := slices.BinarySearchFunc(o.Apps, name, func(a SeenApp, name string) int { return strings.Compare(a.Name, name) })
	if !found {
		return SeenApp{}, false
	}
	return o.Apps[at], true
}

// Lookup gives what was seen of an object.
func (a SeenApp) Lookup(id object.ID) (Seen, bool) {
	at, found := slices.BinarySearchFunc(a.Members, id, func(s Seen, id object.ID) int { return s.ID.Compare(id) })
	if !found {
		return Seen{}, false
	}
	return a.Members[at], true
}

// observation is the first line of what is stored. The lines below it are the
// members of the apps, in their order, each a line of fields with tabs between:
// there are as many as ten thousand, and read field by field as JSON they would
// cost an unchanged run more than everything else that it does.
type observation struct {
	Format int        `json:"format"`
	Kinds  []SeenKind `json:"kinds"`
	Apps   []seenApp  `json:"apps"`
	// Objects was written before there were Apps, and says nothing about them.
	Objects json.RawMessage `json:"objects,omitempty"`
}

type seenApp struct {
	Name      string `json:"name"`
	Inventory string `json:"inventory"`
	// Bytes is the length of the app's lines.
	Bytes int `json:"bytes"`
}

// The letters of a line's flags.
const (
	flagAdopted = "a"
	flagKept    = "k"
	flagKnown   = "s"
)

const seenFields = 8

// Encode gives the bytes to store. An app of which a name could not stand in a
// line is left out.
func (o Observation) Encode() ([]byte, error) {
	stored := observation{Format: Format, Kinds: slices.Clone(o.Kinds), Apps: []seenApp{}}
	index := make(map[object.GroupKind]int, len(stored.Kinds))
	for i, kind := range stored.Kinds {
		index[kind.GroupKind] = i
	}
	var all bytes.Buffer
	size := 0
	for _, a := range o.Apps {
		size += len(a.lines)
	}
	all.Grow(size)
	for _, a := range o.Apps {
		begin := all.Len()
		if a.lines != "" && slices.Equal(a.kinds, o.Kinds) {
			all.WriteString(a.lines)
			stored.Apps = append(stored.Apps, seenApp{a.Name, a.Inventory, len(a.lines)})
			continue
		}
		fits := true
		for _, s := range a.Members {
			at, found := index[s.ID.GroupKind()]
			if !found {
				at = len(stored.Kinds)
				index[s.ID.GroupKind()] = at
				stored.Kinds = append(stored.Kinds, SeenKind{GroupKind: s.ID.GroupKind()})
			}
			fits = fits && s.line(&all, at)
		}
		if !fits {
			all.Truncate(begin)
			continue
		}
		stored.Apps = append(stored.Apps, seenApp{a.Name, a.Inventory, all.Len() - begin})
	}
	head, err := encode(stored)
	if err != nil {
		return nil, fmt.Errorf("encode observation: %w", err)
	}
	return slices.Concat(head, []byte("\n"), all.Bytes()), nil
}

// line writes the member, of the kind with that number, and says whether it
// could be written.
func (s Seen) line(out *bytes.Buffer, kind int) bool {
	flags := ""
	if s.Origin == Adopted {
		flags += flagAdopted
	}
	if s.Kept {
		flags += flagKept
	}
	if s.Known {
		flags += flagKnown
	}
	fields := [seenFields]string{
		strconv.Itoa(kind), s.ID.Namespace, s.ID.Name, flags,
		s.UID, s.ResourceVersion, strconv.FormatInt(s.Generation, 10), s.Digest,
	}
	for i, field := range fields {
		if strings.ContainsAny(field, "\t\n") {
			return false
		}
		if i > 0 {
			out.WriteByte('\t')
		}
		out.WriteString(field)
	}
	out.WriteByte('\n')
	return true
}

// DecodeObservation reads what Encode gave. Anything else is ErrDamaged, or
// ErrNewer; the caller may then go on without an observation.
func DecodeObservation(data []byte) (Observation, error) {
	head, rest, _ := strings.Cut(string(data), "\n")
	var stored observation
	if err := decode([]byte(head), &stored); err != nil {
		return Observation{}, fmt.Errorf("decode observation: %w", err)
	}
	o := Observation{Kinds: stored.Kinds}
	for i, a := range stored.Apps {
		if i > 0 && stored.Apps[i-1].Name >= a.Name {
			return Observation{}, fmt.Errorf("decode observation: %w: the app %q is out of order", ErrDamaged, a.Name)
		}
		if a.Bytes < 0 || a.Bytes > len(rest) {
			return Observation{}, fmt.Errorf("decode observation: %w: the lines of app %q are cut off", ErrDamaged, a.Name)
		}
		lines := rest[:a.Bytes]
		rest = rest[a.Bytes:]
		members, err := decodeMembers(lines, stored.Kinds)
		if err != nil {
			return Observation{}, fmt.Errorf("decode observation: app %s: %w", a.Name, err)
		}
		o.Apps = append(o.Apps, SeenApp{Name: a.Name, Inventory: a.Inventory, Members: members, lines: lines, kinds: stored.Kinds})
	}
	if rest != "" {
		return Observation{}, fmt.Errorf("decode observation: %w: %d bytes belong to no app", ErrDamaged, len(rest))
	}
	return o, nil
}

// decodeMembers reads the lines of one app.
func decodeMembers(lines string, kinds []SeenKind) ([]Seen, error) {
	members := make([]Seen, 0, strings.Count(lines, "\n"))
	rest, n := lines, 0
	for rest != "" {
		line, after, ended := strings.Cut(rest, "\n")
		rest, n = after, n+1
		var fields [seenFields]string
		left, more := line, true
		for i := range fields {
			if !more {
				return nil, fmt.Errorf("%w: line %d has too few fields", ErrDamaged, n)
			}
			fields[i], left, more = strings.Cut(left, "\t")
		}
		kind, err := strconv.Atoi(fields[0])
		generation, genErr := strconv.ParseInt(fields[6], 10, 64)
		if !ended || more || err != nil || genErr != nil || kind < 0 || kind >= len(kinds) || strings.Trim(fields[3], flagAdopted+flagKept+flagKnown) != "" {
			return nil, fmt.Errorf("%w: line %d is not one of an observation", ErrDamaged, n)
		}
		gk := kinds[kind].GroupKind
		s := Seen{
			ID:     object.ID{Group: gk.Group, Kind: gk.Kind, Namespace: fields[1], Name: fields[2]},
			Origin: Created, Kept: strings.Contains(fields[3], flagKept), Known: strings.Contains(fields[3], flagKnown),
			UID: fields[4], ResourceVersion: fields[5], Generation: generation, Digest: fields[7],
		}
		if strings.Contains(fields[3], flagAdopted) {
			s.Origin = Adopted
		}
		if len(members) > 0 && members[len(members)-1].ID.Compare(s.ID) >= 0 {
			return nil, fmt.Errorf("%w: %s is out of order", ErrDamaged, s.ID)
		}
		members = append(members, s)
	}
	return members, nil
}
