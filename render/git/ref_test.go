package git_test

import (
	"strings"
	"testing"

	"tidemark.dev/tidemark/render/git"
)

func TestParseRef(t *testing.T) {
	sha1, sha256 := strings.Repeat("0a", 20), strings.Repeat("0b", 32)
	for text, want := range map[string]git.Ref{
		"":                      {},
		"HEAD":                  {},
		"main":                  {Name: "main"},
		" main\n":               {Name: "main"},
		"feature/x":             {Name: "feature/x"},
		"v1.2":                  {Name: "v1.2"},
		"refs/heads/main":       {Name: "refs/heads/main"},
		"refs/pull/7/head":      {Name: "refs/pull/7/head"},
		strings.ToUpper(sha1):   {Commit: sha1},
		sha256:                  {Commit: sha256},
		"semver:>=1.2 <2":       {Semver: ">=1.2 <2"},
		"semver: 1.x ":          {Semver: "1.x"},
		strings.Repeat("a", 39): {Name: strings.Repeat("a", 39)},
	} {
		got, err := git.ParseRef(text)
		if err != nil || got != want {
			t.Errorf("ParseRef(%q): got %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"semver:", "semver:not a range", "a b", "a..b", "-x", "/x", "x/", "x.lock", ".x", "x/.y", "a^", "a~1", "a:b", "a?b", "a*", "a[b", `a\b`, "@", "a@{1}", "a//b", "a\x00b", "x.",
	} {
		_, err := git.ParseRef(text)
		if err == nil {
			t.Errorf("ParseRef(%q): got no error", text)
			continue
		}
		wantError(t, err, git.ErrInvalid)
	}
}

func TestRefTakesOneField(t *testing.T) {
	wantError(t, git.Ref{Branch: "main", Tag: "v1"}.Validate(), git.ErrInvalid, "one of branch, tag, semver, name and commit")
	wantError(t, git.Ref{Commit: "abc"}.Validate(), git.ErrInvalid, "40")
	for ref, want := range map[git.Ref]string{
		{}: "HEAD", {Branch: "x"}: "refs/heads/x", {Tag: "x"}: "refs/tags/x", {Semver: "1.x"}: "semver:1.x", {Name: "x"}: "x",
	} {
		if got := ref.String(); got != want {
			t.Errorf("%#v: got %q, want %q", ref, got, want)
		}
	}
}

func FuzzParseRef(f *testing.F) {
	for _, seed := range []string{"", "main", "semver:>=1 <2", "refs/heads/x", strings.Repeat("a", 40), "a@{b", "x.lock/y"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ref, err := git.ParseRef(text)
		if err != nil {
			return
		}
		again, err := git.ParseRef(ref.String())
		if err != nil || again != ref {
			t.Errorf("%q: %#v prints as %q, which reads as %#v, %v", text, ref, ref.String(), again, err)
		}
	})
}
