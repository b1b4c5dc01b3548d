package git

import (
	"errors"
	"fmt"
	"strings"
)

// The cases in which a revision cannot be had. ErrUnreachable alone says that
// trying later may help; a done context comes back as its own cause; all the
// others, and any error that is none of these, want a person to change the
// configuration, a credential, the reference or the repository.
var (
	// ErrUnreachable: the server does not answer, answers too late, or says
	// itself that it cannot serve now.
	ErrUnreachable = errors.New("does not answer")
	// ErrInvalid: a URL, a reference, a secret or an option makes no sense.
	ErrInvalid = errors.New("invalid")
	// ErrAuth: the server wants credentials, or other ones.
	ErrAuth = errors.New("access refused")
	// ErrNotFound: there is no repository there, or none that may be seen.
	ErrNotFound = errors.New("no git repository there")
	// ErrRefNotFound: see [RefError].
	ErrRefNotFound = errors.New("ref not found")
	// ErrCommitRefused: the server gives out the tips of its refs only.
	ErrCommitRefused = errors.New("the server does not give out this commit")
	// ErrLimit: see [LimitError].
	ErrLimit = errors.New("over the limit")
	// ErrHostKey: see [HostKeyError].
	ErrHostKey = errors.New("host key not trusted")
	// ErrRedirect: the server sends the client to another host. Nothing was
	// sent there.
	ErrRedirect = errors.New("redirect refused")
	// ErrSubmodule: a submodule cannot be fetched as Options.Submodules allows.
	ErrSubmodule = errors.New("submodule refused")
	// ErrCorrupt: what came is not what git would send.
	ErrCorrupt = errors.New("corrupt")
)

// RefError says that a ref is not there. It is ErrRefNotFound.
type RefError struct {
	Ref string
	// Near holds up to three names that exist and may have been meant.
	Near []string
	// Note says more, where there is more to say.
	Note string
}

func (e *RefError) Error() string {
	text := fmt.Sprintf("%q: %v", e.Ref, ErrRefNotFound)
	if e.Note != "" {
		text += ": " + e.Note
	}
	if len(e.Near) > 0 {
		text += "; there is " + strings.Join(e.Near, ", ")
	}
	return text
}

// Is reports whether the target is ErrRefNotFound.
func (e *RefError) Is(target error) bool { return target == ErrRefNotFound }

// LimitError says which limit was passed. It is ErrLimit.
type LimitError struct {
	// What is "pack", "objects", "file", "inflated pack", …
	What string
	// Limit and Unit say how much is allowed.
	Limit int64
	Unit  string
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%s: more than %d %s: %v", e.What, e.Limit, e.Unit, ErrLimit)
}

// Is reports whether the target is ErrLimit.
func (e *LimitError) Is(target error) bool { return target == ErrLimit }

// HostKeyError says that an ssh server could not be recognised. It is
// ErrHostKey.
type HostKeyError struct {
	// Host as known_hosts writes it: "host", or "[host]:port".
	Host string
	// Scan is the command that prints the server's keys. What it prints must
	// be compared with what the server's owner publishes.
	Scan string
	// Fingerprint of the key that was offered ("SHA256:…"); empty when the
	// server was not even asked, because no key of it is known.
	Fingerprint string
	Revoked     bool
}

func (e *HostKeyError) Error() string {
	switch {
	case e.Revoked:
		return fmt.Sprintf("%v: known_hosts marks the key %s of %s as revoked", ErrHostKey, e.Fingerprint, e.Host)
	case e.Fingerprint != "":
		return fmt.Sprintf("%v: %s offers the key %s, and known_hosts has another: the server was changed, or somebody is in between; "+
			"ask its owner, then replace the line with what %q prints", ErrHostKey, e.Host, e.Fingerprint, e.Scan)
	}
	return fmt.Sprintf("%v: known_hosts has no key of %s; add what %q prints, once its owner confirmed it", ErrHostKey, e.Host, e.Scan)
}

// Is reports whether the target is ErrHostKey.
func (e *HostKeyError) Is(target error) bool { return target == ErrHostKey }

// caseError puts an error under one of the cases above, without the case's
// words in the text.
type caseError struct {
	is  error
	err error
}

func (e *caseError) Error() string        { return e.err.Error() }
func (e *caseError) Unwrap() error        { return e.err }
func (e *caseError) Is(target error) bool { return target == e.is }

func unreachable(err error) error { return &caseError{is: ErrUnreachable, err: err} }

func invalid(format string, args ...any) error {
	return &caseError{is: ErrInvalid, err: fmt.Errorf(format, args...)}
}

func authf(format string, args ...any) error {
	return &caseError{is: ErrAuth, err: fmt.Errorf(format, args...)}
}

func corrupt(format string, args ...any) error {
	return &caseError{is: ErrCorrupt, err: fmt.Errorf(format, args...)}
}

// printable makes a foreign text fit for a terminal and a record: one line, no
// control characters, at most max runes.
func printable(text string, limit int) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n':
			return ' '
		case r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "�"))
	clean = strings.TrimSpace(clean)
	if runes := []rune(clean); len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return clean
}
