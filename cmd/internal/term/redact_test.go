package term_test

import (
	"encoding/json"
	"strings"
	"testing"

	"tidemark.dev/tidemark/cmd/internal/term"
)

func TestRedactorKnowsCredentialsInJSON(t *testing.T) {
	var r term.Redactor
	const password = `p&ss<"word\1`
	r.Add(password)
	for _, encode := range []func(any) string{
		func(v any) string { data, _ := json.Marshal(v); return string(data) },
		func(v any) string {
			var out strings.Builder
			encoder := json.NewEncoder(&out)
			encoder.SetEscapeHTML(false)
			_ = encoder.Encode(v)
			return out.String()
		},
	} {
		text := encode(map[string]string{"message": "refused " + password + " at the door"})
		if got := r.Text(text); strings.Contains(got, "word") || !strings.Contains(got, "refused (redacted) at the door") {
			t.Errorf("Text(%s) = %s, want the password out", text, got)
		}
	}
}
