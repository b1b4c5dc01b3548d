package config

import "strings"

// synonyms are words that people bring along from other tools.
var synonyms = map[string]string{ //nolint:gochecknoglobals // a table
	"repoURL":         "repo",
	"targetRevision":  "ref",
	"revision":        "ref",
	"interval":        "timeout",
	"targetNamespace": "namespace",
	"applications":    "apps",
	"serverURL":       "server",
	"storage":         "state",
	"bucket":          "state",
	"backend":         "state",
	"values_files":    "valueFiles",
	"valuesFiles":     "valueFiles",
}

// Nearest gives the candidate that was probably meant by a word, or "".
func Nearest(word string, candidates []string) string {
	meant := synonyms[word]
	best, least := "", len(word)/3+2
	for _, c := range candidates {
		if c == meant || strings.EqualFold(c, word) {
			return c
		}
		if d := distance(strings.ToLower(word), strings.ToLower(c)); d < least {
			best, least = c, d
		}
	}
	return best
}

// didYouMean gives the end of a sentence, or nothing.
func didYouMean(word string, candidates []string) string {
	if near := Nearest(word, candidates); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// distance counts the letters to add, drop, change or swap with their neighbour
// to make b of a.
func distance(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
