package git

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Ref says which commit of a repository is wanted. At most one field is set;
// the zero Ref is the remote's HEAD.
type Ref struct {
	// Branch and Tag are names without "refs/heads/" and "refs/tags/".
	Branch string `json:"branch,omitempty"`
	Tag    string `json:"tag,omitempty"`
	// Semver is a range such as ">=1.2 <2"; the highest tag in it is taken. A
	// tag counts when it is a full semantic version, with or without a "v" in
	// front; prereleases count only if the range names one.
	Semver string `json:"semver,omitempty"`
	// Name is a full name, "refs/…", or a short one, which is looked for among
	// the branches first, then among the tags.
	Name string `json:"name,omitempty"`
	// Commit is the full object name of a commit in hexadecimal. It needs no
	// look-up.
	Commit string `json:"commit,omitempty"`
}

const semverPrefix = "semver:"

// ParseRef reads what people write after --ref:
//
//	(nothing), HEAD      the remote's HEAD
//	main, v1.2           the branch of that name, else the tag
//	refs/heads/main      a full name
//	40 or 64 hex digits  a commit
//	semver:>=1.2 <2      the highest tag in a range
//
// The error is ErrInvalid.
func ParseRef(text string) (Ref, error) {
	text = strings.TrimSpace(text)
	var ref Ref
	constraint, isRange := strings.CutPrefix(text, semverPrefix)
	switch {
	case text == "" || text == "HEAD":
	case isRange:
		ref.Semver = strings.TrimSpace(constraint)
		if ref.Semver == "" {
			return Ref{}, invalid("ref %q: the range is missing", text)
		}
	case isObjectName(text):
		ref.Commit = strings.ToLower(text)
	default:
		ref.Name = text
	}
	if err := ref.Validate(); err != nil {
		return Ref{}, err
	}
	return ref, nil
}

// String gives the ref as ParseRef reads it; "HEAD" for the zero Ref.
func (r Ref) String() string {
	switch {
	case r.Commit != "":
		return r.Commit
	case r.Name != "":
		return r.Name
	case r.Semver != "":
		return semverPrefix + r.Semver
	case r.Tag != "":
		return tagPrefix + r.Tag
	case r.Branch != "":
		return branchPrefix + r.Branch
	}
	return "HEAD"
}

// Validate reports what is wrong with a ref before anybody is asked about it.
// The error is ErrInvalid.
func (r Ref) Validate() error {
	set := 0
	for _, field := range []string{r.Branch, r.Tag, r.Semver, r.Name, r.Commit} {
		if field != "" {
			set++
		}
	}
	if set > 1 {
		return invalid("ref: give one of branch, tag, semver, name and commit, not %d", set)
	}
	if r.Commit != "" && !isObjectName(r.Commit) {
		return invalid("ref: commit %q: want all 40 (or 64) hexadecimal digits", printable(r.Commit, 80))
	}
	if r.Semver != "" {
		if _, err := semver.NewConstraint(r.Semver); err != nil {
			return invalid("ref: semver %q: %w", printable(r.Semver, 80), err)
		}
	}
	for _, name := range []string{r.Branch, r.Tag, r.Name} {
		if name == "" {
			continue
		}
		if err := checkRefName(name); err != nil {
			return invalid("ref %q: %w", printable(name, 80), err)
		}
	}
	return nil
}

func isObjectName(text string) bool {
	if len(text) != 40 && len(text) != 64 {
		return false
	}
	_, err := hex.DecodeString(text)
	return err == nil
}

// checkRefName holds a name against the rules of git-check-ref-format(1).
func checkRefName(name string) error {
	for _, r := range name {
		if r <= ' ' || r == 0x7f || strings.ContainsRune(`~^:?*[\`, r) {
			return fmt.Errorf("a ref name cannot hold %q", r)
		}
	}
	switch {
	case len(name) > 1024:
		return fmt.Errorf("is longer than 1024 bytes")
	case strings.Contains(name, ".."), strings.Contains(name, "@{"), strings.Contains(name, "//"):
		return fmt.Errorf("a ref name cannot hold %q, %q or %q", "..", "@{", "//")
	case strings.HasPrefix(name, "-"), strings.HasPrefix(name, "/"):
		return fmt.Errorf("a ref name cannot begin with %q or %q", "-", "/")
	case strings.HasSuffix(name, "/"), strings.HasSuffix(name, "."), name == "@":
		return fmt.Errorf("is not a ref name")
	}
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
			return fmt.Errorf("no part of a ref name can begin with %q or end with %q", ".", ".lock")
		}
	}
	return nil
}
