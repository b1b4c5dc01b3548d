package git

import (
	"maps"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
)

const (
	headName     = "HEAD"
	branchPrefix = "refs/heads/"
	tagPrefix    = "refs/tags/"
)

// advert is what a look-up finds: the names a repository gives to commits.
type advert struct {
	// head is where HEAD points; zero in an empty repository. headRef is its
	// branch, if the server says so.
	head    plumbing.Hash
	headRef string
	refs    map[string]plumbing.Hash
	// peeled holds, for annotated tags, what they finally point to.
	peeled map[string]plumbing.Hash
	caps   *capability.List
}

func newAdvert() *advert {
	return &advert{refs: map[string]plumbing.Hash{}, peeled: map[string]plumbing.Hash{}, caps: capability.NewList()}
}

func (a *advert) supports(c capability.Capability) bool { return a.caps.Supports(c) }

// target gives the commit that a full name stands for.
func (a *advert) target(name string) (plumbing.Hash, bool) {
	if hash, ok := a.peeled[name]; ok {
		return hash, true
	}
	hash, ok := a.refs[name]
	return hash, ok
}

// resolve finds the full name and the commit of a ref. A ref that is not there
// is a *RefError.
func (a *advert) resolve(ref Ref) (name string, commit plumbing.Hash, err error) {
	switch {
	case ref == Ref{} || ref.Name == headName:
		return a.resolveHead()
	case ref.Semver != "":
		return a.resolveSemver(ref.Semver)
	case ref.Branch != "":
		name = branchPrefix + ref.Branch
	case ref.Tag != "":
		name = tagPrefix + ref.Tag
	default:
		name = a.expand(ref.Name)
	}
	commit, ok := a.target(name)
	if !ok {
		return "", plumbing.ZeroHash, a.missing(ref)
	}
	return name, commit, nil
}

// expand finds the full name of a short one: branches first, then tags.
func (a *advert) expand(short string) string {
	for _, name := range []string{short, branchPrefix + short, tagPrefix + short} {
		if _, ok := a.refs[name]; ok && strings.HasPrefix(name, "refs/") {
			return name
		}
	}
	return short
}

func (a *advert) resolveHead() (string, plumbing.Hash, error) {
	if a.head.IsZero() {
		note := "the repository is empty"
		if len(a.refs) > 0 {
			note = "HEAD names a branch that does not exist; name one that does"
		}
		return "", plumbing.ZeroHash, &RefError{Ref: headName, Note: note, Near: a.near("main")}
	}
	if a.headRef != "" && a.refs[a.headRef] == a.head {
		return a.headRef, a.head, nil
	}
	return headName, a.head, nil
}

func (a *advert) resolveSemver(constraint string) (string, plumbing.Hash, error) {
	want, err := semver.NewConstraint(constraint)
	if err != nil {
		return "", plumbing.ZeroHash, invalid("semver %q: %w", constraint, err)
	}
	var best *semver.Version
	var bestName string
	versions := 0
	for _, name := range slices.Sorted(maps.Keys(a.refs)) {
		tag, ok := strings.CutPrefix(name, tagPrefix)
		if !ok {
			continue
		}
		version, err := semver.StrictNewVersion(strings.TrimPrefix(tag, "v"))
		if err != nil {
			continue
		}
		versions++
		// The names are sorted: of tags with equal versions the last wins,
		// whatever order the server gives them in.
		if want.Check(version) && (best == nil || !version.LessThan(best)) {
			best, bestName = version, name
		}
	}
	if best == nil {
		note := "no tag of the repository is a semantic version"
		if versions > 0 {
			note = "no tag is in the range"
		}
		return "", plumbing.ZeroHash, &RefError{Ref: semverPrefix + constraint, Note: note, Near: a.newestVersions(3)}
	}
	commit, _ := a.target(bestName)
	return bestName, commit, nil
}

func (a *advert) newestVersions(n int) []string {
	byTag := map[string]*semver.Version{}
	for name := range a.refs {
		tag, ok := strings.CutPrefix(name, tagPrefix)
		if !ok {
			continue
		}
		if version, err := semver.StrictNewVersion(strings.TrimPrefix(tag, "v")); err == nil {
			byTag[tag] = version
		}
	}
	tags := slices.SortedFunc(maps.Keys(byTag), func(x, y string) int {
		if order := byTag[y].Compare(byTag[x]); order != 0 {
			return order
		}
		return strings.Compare(x, y)
	})
	return tags[:min(n, len(tags))]
}

// missing explains why a ref was not found.
func (a *advert) missing(ref Ref) error {
	short := ref.Branch + ref.Tag + ref.Name
	e := &RefError{Ref: ref.String(), Near: a.near(shortName(short))}
	switch {
	case len(a.refs) == 0:
		e.Note = "the repository is empty"
	case ref.Name != "" && len(short) >= 7 && strings.Trim(strings.ToLower(short), "0123456789abcdef") == "":
		e.Note = "a commit must be given with all its 40 digits"
	}
	return e
}

func shortName(name string) string {
	for _, prefix := range []string{branchPrefix, tagPrefix} {
		if short, ok := strings.CutPrefix(name, prefix); ok {
			return short
		}
	}
	return name
}

// near gives the names most like the one wanted: up to three, the likest
// first, and the default branch if nothing is like it.
func (a *advert) near(short string) []string {
	type candidate struct {
		name     string
		distance int
	}
	var found []candidate
	for name := range a.refs {
		if !strings.HasPrefix(name, branchPrefix) && !strings.HasPrefix(name, tagPrefix) {
			continue
		}
		have := shortName(name)
		distance := editDistance(strings.ToLower(have), strings.ToLower(short))
		if contains(have, short) {
			distance = min(distance, 1)
		}
		if distance <= max(1, len(short)/3) {
			found = append(found, candidate{have, distance})
		}
	}
	slices.SortFunc(found, func(x, y candidate) int {
		if x.distance != y.distance {
			return x.distance - y.distance
		}
		return strings.Compare(x.name, y.name)
	})
	var names []string
	for _, c := range found[:min(3, len(found))] {
		names = append(names, printable(c.name, 80))
	}
	if len(names) == 0 && a.headRef != "" && a.refs[a.headRef] == a.head && !a.head.IsZero() {
		names = append(names, printable(shortName(a.headRef), 80))
	}
	return names
}

func contains(have, want string) bool {
	have, want = strings.ToLower(have), strings.ToLower(want)
	return len(want) >= 3 && strings.Contains(have, want) || len(have) >= 3 && strings.Contains(want, have)
}

// editDistance counts the letters to insert, drop or replace; names beyond 64
// bytes are taken to be far apart.
func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
