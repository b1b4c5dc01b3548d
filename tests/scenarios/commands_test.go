package scenarios_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"sigs.k8s.io/yaml"

	"tidemark.dev/tidemark/tests/binary"
	"tidemark.dev/tidemark/tests/jsonpath"
	"tidemark.dev/tidemark/tests/servers"
)

func want(ts *testscript.TestScript, args []string, least, most int, usage string) {
	if len(args) < least || most >= 0 && len(args) > most {
		ts.Fatalf("usage: %s", usage)
	}
}

type object struct {
	Kind     string
	Metadata struct{ Name, UID string }
}

func decode(text []byte) (o object, err error) { return o, yaml.Unmarshal(text, &o) }

// sync: [CODE] [FLAGS...]
func sync(ts *testscript.TestScript, args []string) {
	w := of(ts)
	_, next, err := w.cluster.Audit(w.began)
	ts.Check(err)
	w.began = next
	planned := w.waiting.Load()
	code := 0
	if len(args) > 0 {
		if number, err := strconv.Atoi(args[0]); err == nil {
			code, args = number, args[1:]
		}
	}
	run(ts, code, append([]string{"sync", "--config", "tidemark.yaml", "-o", "json"}, args...))
	if planned != nil {
		ts.Check(planned.err)
		if w.waiting.Load() != nil {
			ts.Fatalf("the run sent no %s …%s", planned.method, planned.suffix)
		}
	}
}

// other: [CODE] COMMAND ARGS...
func other(ts *testscript.TestScript, args []string) {
	want(ts, args, 1, -1, "tidemark [CODE] COMMAND ARGS...")
	code, err := strconv.Atoi(args[0])
	if err == nil {
		args = args[1:]
	}
	run(ts, code, args)
}

func run(ts *testscript.TestScript, code int, args []string) {
	path, err := binary.Path()
	ts.Check(err)
	err = ts.Exec(path, args...)
	got := 0
	var exited *exec.ExitError
	switch {
	case errors.As(err, &exited):
		got = exited.ExitCode()
	case err != nil:
		ts.Fatalf("run tidemark: %v", err)
	}
	if got != code {
		ts.Fatalf("tidemark exited with %d, not %d", got, code)
	}
}

// record: [-match] PATH [VALUE]
func record(ts *testscript.TestScript, neg bool, args []string) {
	match := len(args) > 0 && args[0] == "-match"
	if match {
		args = args[1:]
	}
	want(ts, args, 1, 2, "record [-match] PATH [VALUE]")
	document, err := jsonpath.Document(ts.ReadFile("stdout"))
	if err != nil {
		ts.Fatalf("the output is not one JSON document: %v", err)
	}
	value, found := jsonpath.At(document, args[0])
	got := jsonpath.Text(value)
	switch {
	case neg && (len(args) > 1 || match):
		ts.Fatalf("usage: ! record PATH")
	case neg && found:
		ts.Fatalf("%s is %s, and should not be", args[0], got)
	case neg:
	case !found:
		ts.Fatalf("there is no %s", args[0])
	case len(args) == 1:
	case match && !regexp.MustCompile("(?s)"+args[1]).MatchString(got):
		ts.Fatalf("%s is %s, which does not match %s", args[0], got, args[1])
	case !match && got != args[1]:
		ts.Fatalf("%s is %s, not %s", args[0], got, args[1])
	}
}

// let: VARIABLE PATH
func let(ts *testscript.TestScript, args []string) {
	want(ts, args, 2, 2, "let VARIABLE PATH")
	document, err := jsonpath.Document(ts.ReadFile("stdout"))
	ts.Check(err)
	value, found := jsonpath.At(document, args[1])
	if !found {
		ts.Fatalf("there is no %s", args[1])
	}
	ts.Setenv(args[0], jsonpath.Text(value))
}

// get reads an object; nil when there is none.
func get(ts *testscript.TestScript, ref string) []byte {
	ctx, cancel := within()
	defer cancel()
	path, err := of(ts).path(ref)
	ts.Check(err)
	answer, err := of(ts).cluster.Get(ctx, path)
	var status *servers.StatusError
	if errors.As(err, &status) && status.Status == http.StatusNotFound {
		return nil
	}
	ts.Check(err)
	return answer
}

// has: [-soon] REF [PATH VALUE]
func has(ts *testscript.TestScript, args []string) {
	soon := len(args) > 0 && args[0] == "-soon"
	if soon {
		args = args[1:]
	}
	if len(args) != 1 && len(args) != 3 {
		ts.Fatalf("usage: has [-soon] REF [PATH VALUE]")
	}
	holds := func() (bool, string) {
		answer := get(ts, args[0])
		if answer == nil {
			return false, args[0] + " is not there"
		}
		if len(args) == 1 {
			return true, ""
		}
		var object any
		ts.Check(json.Unmarshal(answer, &object))
		value, _ := jsonpath.At(object, args[1])
		got := jsonpath.Text(value)
		return got == args[2], args[0] + " holds " + got + " at " + args[1] + ", not " + args[2]
	}
	if soon {
		poll(ts, holds)
	} else if ok, why := holds(); !ok {
		ts.Fatalf("%s", why)
	}
}

// absent: REF
func absent(ts *testscript.TestScript, args []string) {
	want(ts, args, 1, 1, "absent REF")
	poll(ts, func() (bool, string) { return get(ts, args[0]) == nil, args[0] + " is there" })
}

// same: REF
func same(ts *testscript.TestScript, args []string) {
	want(ts, args, 1, 1, "same REF")
	o, err := decode(get(ts, args[0]))
	ts.Check(err)
	before, known := of(ts).uids[args[0]]
	of(ts).uids[args[0]] = o.Metadata.UID
	if o.Metadata.UID == "" || known && before != o.Metadata.UID {
		ts.Fatalf("%s is another object: its UID was %s and is %q", args[0], before, o.Metadata.UID)
	}
}

// written lists what the last run wrote, as VERB PATH; but for the Lease by which the cluster remembers the ledger, and
// for questions.
func written(ts *testscript.TestScript) (found []string) {
	w := of(ts)
	events, _, err := w.cluster.Audit(w.began)
	ts.Check(err)
	slices.SortStableFunc(events, func(a, b servers.AuditEvent) int { return a.Received.Compare(b.Received) })
	for _, e := range events {
		witness := e.ObjectRef.Resource == "leases" && e.ObjectRef.Namespace == "kube-system"
		question := strings.Contains(e.RequestURI, "dryRun=All") || strings.HasSuffix(e.RequestURI, "/selfsubjectaccessreviews")
		if e.User == w.name && e.Stage == "ResponseComplete" && e.IsWrite() && !witness && !question {
			path, _, _ := strings.Cut(e.RequestURI, "?")
			verb := e.Verb
			if verb == "patch" {
				verb = "apply" // what is applied is patched, for HTTP
			}
			found = append(found, verb+" "+path)
		}
	}
	return found
}

// untouched: the last run wrote nothing.
func untouched(ts *testscript.TestScript, args []string) {
	want(ts, args, 0, 0, "untouched")
	if got := written(ts); len(got) > 0 {
		ts.Fatalf("written, and nothing should have been:\n%s", strings.Join(got, "\n"))
	}
}

// sent gives for each REF when the last run first sent such a request about it; -1: never.
func sent(ts *testscript.TestScript, args []string) (at []int, log string) {
	want(ts, args, 2, -1, "order|never apply|delete REF...")
	if args[0] != "apply" && args[0] != "delete" {
		ts.Fatalf("%s is neither apply nor delete", args[0])
	}
	all := written(ts)
	for _, ref := range args[1:] {
		path, err := of(ts).path(ref)
		ts.Check(err)
		at = append(at, slices.Index(all, args[0]+" "+path))
	}
	return at, strings.Join(all, "\n")
}

// order: VERB REF...
func order(ts *testscript.TestScript, args []string) {
	at, log := sent(ts, args)
	if at[0] < 0 || !slices.IsSorted(at) {
		ts.Fatalf("not in this order; what was written:\n%s", log)
	}
}

// never: VERB REF...
func never(ts *testscript.TestScript, args []string) {
	at, log := sent(ts, args)
	if slices.Max(at) >= 0 {
		ts.Fatalf("it did; what was written:\n%s", log)
	}
}

func push(ts *testscript.TestScript, args []string) {
	ts.Check(of(ts).deed(append([]string{"push"}, args...)))
}

func namespace(ts *testscript.TestScript, args []string) {
	ts.Check(of(ts).deed(append([]string{"namespace"}, args...)))
}

func apply(ts *testscript.TestScript, args []string) {
	ts.Check(of(ts).deed(append([]string{"apply"}, args...)))
}

func patch(ts *testscript.TestScript, args []string) {
	ts.Check(of(ts).deed(append([]string{"patch"}, args...)))
}

func remove(ts *testscript.TestScript, args []string) {
	ts.Check(of(ts).deed(append([]string{"delete"}, args...)))
}

// before: METHOD PATH COMMAND...
func before(ts *testscript.TestScript, args []string) {
	want(ts, args, 3, -1, "before METHOD PATH COMMAND...")
	w := of(ts)
	ts.Check(w.interpose())
	w.waiting.Store(&match{method: args[0], suffix: args[1], do: func() error { return w.deed(args[2:]) }})
}

// refuse: [METHOD PATH]
func refuse(ts *testscript.TestScript, args []string) {
	w := of(ts)
	ts.Check(w.interpose())
	if len(args) == 0 {
		w.refused.Store(nil)
		return
	}
	want(ts, args, 2, 2, "refuse [METHOD PATH]")
	w.refused.Store(&match{method: args[0], suffix: args[1]})
}
