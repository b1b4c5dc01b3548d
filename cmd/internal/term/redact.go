package term

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Redactor knows credentials and takes them out of what is printed. It is the
// last line of defence: nothing should print one in the first place. It is safe
// for concurrent use.
type Redactor struct {
	mu      sync.Mutex
	secrets []string
	all     *strings.Replacer
}

// shortest is the length below which a value is taken for a word rather than a
// credential: replacing those would make the output unreadable.
const shortest = 6

// Add tells the redactor a credential, in the forms in which it may turn up: as
// it is, in base64, escaped in a URL or in JSON, and line by line.
func (r *Redactor) Add(secrets ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, secret := range secrets {
		for line := range strings.SplitSeq(secret, "\n") {
			line = strings.TrimSpace(line)
			if len(line) < shortest || strings.HasPrefix(line, "-----") {
				continue
			}
			r.secrets = append(r.secrets, line, base64.StdEncoding.EncodeToString([]byte(line)), url.QueryEscape(line), url.PathEscape(line), inJSON(line, true), inJSON(line, false))
		}
	}
	slices.SortFunc(r.secrets, func(a, b string) int { return len(b) - len(a) })
	r.secrets = slices.Compact(r.secrets)
	var pairs []string
	for _, secret := range r.secrets {
		pairs = append(pairs, secret, "(redacted)")
	}
	r.all = strings.NewReplacer(pairs...)
}

// inJSON gives a text as it stands in a JSON string, with or without the escapes
// that make it harmless in HTML.
func inJSON(text string, html bool) string {
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(html)
	_ = encoder.Encode(text) // a string always can be
	return strings.Trim(strings.TrimSpace(out.String()), `"`)
}

// Text gives a text without the credentials.
func (r *Redactor) Text(text string) string {
	if r == nil {
		return text
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		return text
	}
	return r.all.Replace(text)
}

// Writer gives a writer that takes the credentials out of each piece that is
// written through it; a piece is expected to be a whole line or more.
func (r *Redactor) Writer(w io.Writer) io.Writer { return redacted{r: r, w: w} }

type redacted struct {
	r *Redactor
	w io.Writer
}

func (w redacted) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.w, w.r.Text(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}
