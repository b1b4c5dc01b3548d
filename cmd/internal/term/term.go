// Package term shows runs to people and to log collectors: progress while a run
// goes on, and its result at the end.
//
// Its laws: results go to stdout, everything else to stderr. What came from a
// repository or a cluster is escaped, so that it cannot steer a terminal.
// Colour is decoration: without it, nothing is lost.
package term

import (
	"fmt"
	"strings"
	"unicode"
)

// Escape gives a text that stands on one line and cannot steer a terminal:
// control characters, those that reverse the direction of writing, and bytes
// that are no text are shown as Go would write them.
func Escape(text string) string {
	if !strings.ContainsFunc(text, steers) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if steers(r) {
			quoted := fmt.Sprintf("%+q", string(r))
			b.WriteString(quoted[1 : len(quoted)-1])
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// EscapeLines is Escape for a text of several lines.
func EscapeLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = Escape(line)
	}
	return strings.Join(lines, "\n")
}

// steers says whether a character does more than show itself. Format
// characters (Cf) are those that reverse the direction of writing, or hide.
func steers(r rune) bool {
	return unicode.IsControl(r) || r == unicode.ReplacementChar || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
}
