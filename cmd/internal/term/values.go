package term

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

const (
	// widest is how much of one value is shown on a line.
	widest = 100
	// tallest is how many changed lines of a text are shown.
	tallest = 20
)

// value shows one value of a field on one line.
func value(v any) string { return Escape(shorten(written(v), widest)) }

// written gives a value as JSON.
func written(v any) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// values shows two values; of long ones, the part in which they differ.
func values(old, now any) (shownOld, shownNow string) {
	a, b := []rune(written(old)), []rune(written(now))
	same := 0
	for same < len(a) && same < len(b) && a[same] == b[same] {
		same++
	}
	if start := same - widest/4; start > 0 && max(len(a), len(b)) > widest {
		return Escape(shorten("…"+string(a[start:]), widest)), Escape(shorten("…"+string(b[start:]), widest))
	}
	return Escape(shorten(string(a), widest)), Escape(shorten(string(b), widest))
}

// shorten cuts a text after a number of characters.
func shorten(text string, limit int) string {
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return text
}

// isText says whether a value is better compared line by line.
func isText(v any) bool {
	text, ok := v.(string)
	return ok && strings.Contains(strings.TrimSuffix(text, "\n"), "\n")
}

// lineDiff gives the lines that differ between two texts: "- " and "+ " before
// each, and one "…" for what is the same between them.
func lineDiff(old, now string) []string {
	a, b := strings.Split(strings.TrimSuffix(old, "\n"), "\n"), strings.Split(strings.TrimSuffix(now, "\n"), "\n")
	start := 0
	for start < len(a) && start < len(b) && a[start] == b[start] {
		start++
	}
	end := 0
	for end < len(a)-start && end < len(b)-start && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	a, b = a[start:len(a)-end], b[start:len(b)-end]
	if len(a)*len(b) > 1_000_000 {
		return []string{fmt.Sprintf("(%d lines become %d)", len(a), len(b))}
	}
	return cut(compare(a, b))
}

func cut(lines []string) []string {
	if more := len(lines) - tallest; more > 0 {
		return append(slices.Clone(lines[:tallest]), fmt.Sprintf("… and %d more lines", more))
	}
	return lines
}

// compare walks along the longest common subsequence of two lists of lines.
func compare(a, b []string) []string {
	// longest[i][j] is the length of that of a[i:] and b[j:].
	longest := make([][]int, len(a)+1)
	for i := range longest {
		longest[i] = make([]int, len(b)+1)
	}
	for i := range slices.Backward(a) {
		for j := range slices.Backward(b) {
			if longest[i][j] = max(longest[i+1][j], longest[i][j+1]); a[i] == b[j] {
				longest[i][j] = longest[i+1][j+1] + 1
			}
		}
	}
	var lines []string
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			if n := len(lines); n > 0 && lines[n-1] != "…" {
				lines = append(lines, "…")
			}
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && longest[i+1][j] >= longest[i][j+1]:
			lines = append(lines, "- "+Escape(shorten(a[i], widest)))
			i++
		default:
			lines = append(lines, "+ "+Escape(shorten(b[j], widest)))
			j++
		}
	}
	return lines
}
