package scripts_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"tidemark.dev/tidemark/tests/jsonpath"
	"tidemark.dev/tidemark/tests/servers"
)

// jsonField: [-match] PATH [VALUE]
func jsonField(ts *testscript.TestScript, neg bool, args []string) {
	match := len(args) > 0 && args[0] == "-match"
	if match {
		args = args[1:]
	}
	want(ts, args, 1, 2, "json [-match] PATH [VALUE]")
	document, err := jsonpath.Document(ts.ReadFile("stdout"))
	if err != nil {
		ts.Fatalf("stdout is not one JSON document: %v", err)
	}
	got, found := jsonpath.At(document, args[0])
	switch {
	case neg && len(args) == 1 && found:
		ts.Fatalf("%s is %s, and should not be", args[0], jsonpath.Text(got))
	case neg && len(args) == 2 && !match && jsonpath.Text(got) == args[1]:
		ts.Fatalf("%s is %s, and should not be", args[0], jsonpath.Text(got))
	case neg:
	case !found:
		ts.Fatalf("there is no %s", args[0])
	case len(args) == 1:
	case match && !regexp.MustCompile("(?s)"+args[1]).MatchString(jsonpath.Text(got)):
		ts.Fatalf("%s is %s, which does not match %s", args[0], jsonpath.Text(got), args[1])
	case !match && jsonpath.Text(got) != args[1]:
		ts.Fatalf("%s is %s, not %s", args[0], jsonpath.Text(got), args[1])
	}
}

// capture: VARIABLE PATH
func capture(ts *testscript.TestScript, args []string) {
	want(ts, args, 2, 2, "capture VARIABLE PATH")
	document, err := jsonpath.Document(ts.ReadFile("stdout"))
	ts.Check(err)
	value, found := jsonpath.At(document, args[1])
	if !found {
		ts.Fatalf("there is no %s", args[1])
	}
	ts.Setenv(args[0], jsonpath.Text(value))
}

// digest: VARIABLE FILE
func digest(ts *testscript.TestScript, args []string) {
	want(ts, args, 2, 2, "digest VARIABLE FILE")
	ts.Setenv(args[0], fmt.Sprintf("%x", sha256.Sum256([]byte(strings.TrimSuffix(ts.ReadFile(args[1]), "\n")))))
}

// sameplan: FILE APP
func sameplan(ts *testscript.TestScript, args []string) {
	want(ts, args, 2, 2, "sameplan FILE APP")
	planned, err := jsonpath.Document(ts.ReadFile(args[0]))
	ts.Check(err)
	did, err := jsonpath.Document(ts.ReadFile("stdout"))
	ts.Check(err)
	if p, d := deeds(planned, "plans["+args[1]+"].changes"), deeds(did, "apps["+args[1]+"].changes"); p != d || p == "" {
		ts.Fatalf("the plan was\n%s\nand what was done is\n%s", p, d)
	}
}

// deeds lists changes in their order.
func deeds(document any, path string) string {
	changes, _ := jsonpath.At(document, path)
	var all strings.Builder
	list, _ := changes.([]any)
	for _, change := range list {
		for _, field := range []string{"action", "reason", "id"} {
			value, _ := jsonpath.At(change, field)
			all.WriteString(jsonpath.Text(value) + " ")
		}
		all.WriteString("\n")
	}
	return all.String()
}

// loglines: KEY...
func loglines(ts *testscript.TestScript, keys []string) {
	lines := strings.SplitSeq(strings.TrimSuffix(ts.ReadFile("stderr"), "\n"), "\n")
	for line := range lines {
		document, err := jsonpath.Document(line)
		object, isObject := document.(map[string]any)
		if err != nil || !isObject {
			ts.Fatalf("a line of stderr is no JSON object: %s", line)
		}
		for _, key := range []string{"level", "time", "message"} {
			if _, has := object[key]; !has {
				ts.Fatalf("a line of stderr has no %s: %s", key, line)
			}
		}
		for key := range object {
			if !slices.Contains(keys, key) {
				ts.Fatalf("a line of stderr has the key %s: %s", key, line)
			}
		}
	}
}

var noise = []struct {
	find *regexp.Regexp
	put  string
}{
	{regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{26}\b`), "RUN"},
	{regexp.MustCompile(`\b([0-9a-f]{64}|[0-9a-f]{32})\b`), "HASH"},
	{regexp.MustCompile(`\btidemark [0-9a-z][^ \n]*`), "tidemark VERSION"},
	{regexp.MustCompile(`\b([0-9a-f]{40}|[0-9a-f]{10})\b`), "COMMIT"},
	{regexp.MustCompile(`\b[0-9]+\.[0-9]+s\b`), "TIME"},
	{regexp.MustCompile(`\b20[0-9]{2}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+( ?Z| ?UTC)?`), "DATE"},
}

// normal: what was on stdout, with everything that differs from run to run named instead.
func normal(ts *testscript.TestScript, args []string) {
	want(ts, args, 0, 0, "normal")
	out := strings.ReplaceAll(ts.ReadFile("stdout"), of(ts).dir, "$WORK")
	for _, n := range noise {
		out = n.find.ReplaceAllString(out, n.put)
	}
	_, err := io.WriteString(ts.Stdout(), out)
	ts.Check(err)
}

// canary: WORD...
func canary(ts *testscript.TestScript, words []string) {
	want(ts, words, 1, -1, "canary WORD...")
	w := of(ts)
	places := map[string][]byte{"what Tidemark said": []byte(w.said.String())}
	ctx, cancel := within()
	defer cancel()
	stored := map[string][]byte{}
	if w.stored != nil {
		var err error
		stored, err = w.stored(ctx)
		ts.Check(err)
	}
	for name, data := range stored {
		places["the state's "+name] = data
	}
	temporary, err := files(w.tmp)
	ts.Check(err)
	for name, data := range temporary {
		places["the temporary file "+name] = data
	}
	for _, word := range words {
		for _, form := range forms(word) {
			for place, data := range places {
				if strings.Contains(string(data), form) {
					ts.Fatalf("%q is in %s (as %q)", word, place, form)
				}
			}
		}
	}
}

// forms are the ways in which a secret shows: as it is, in a URL, and in Base64 whatever stands before it.
func forms(word string) []string {
	all := []string{word, url.QueryEscape(word), url.PathEscape(word)}
	for before := range 3 {
		encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", before) + word))
		// The first and the last letter may hold bits of the neighbours.
		encoded = encoded[[]int{0, 2, 3}[before] : len(encoded)-1]
		all = append(all, encoded, strings.NewReplacer("+", "-", "/", "_").Replace(encoded))
	}
	return all
}

// objects reads everything under a prefix of the bucket.
func objects(ctx context.Context, gcs *servers.GCS, prefix string) (map[string][]byte, error) {
	get := func(path string) ([]byte, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, gcs.URL+"/storage/v1/b/"+gcs.Bucket+"/o"+path, nil)
		if err != nil {
			return nil, err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return nil, err
		}
		defer func() { _ = response.Body.Close() }()
		return io.ReadAll(response.Body)
	}
	answer, err := get("?prefix=" + url.QueryEscape(prefix+"/"))
	if err != nil {
		return nil, err
	}
	var list struct{ Items []struct{ Name string } }
	if err := json.Unmarshal(answer, &list); err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	for _, item := range list.Items {
		data, err := get("/" + url.PathEscape(item.Name) + "?alt=media")
		if err != nil {
			return nil, err
		}
		all[strings.TrimPrefix(item.Name, prefix+"/")] = data
	}
	return all, nil
}
