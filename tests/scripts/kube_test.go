package scripts_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"tidemark.dev/tidemark/tests/jsonpath"
	"tidemark.dev/tidemark/tests/servers"
)

// path gives the REST path of KIND/NAME or KIND/NAMESPACE/NAME.
func path(ts *testscript.TestScript, ref string) string {
	parts := strings.Split(ref, "/")
	if len(parts) == 2 {
		parts = []string{parts[0], of(ts).name, parts[1]}
	}
	if len(parts) != 3 {
		ts.Fatalf("%q is no object: write KIND/NAME or KIND/NAMESPACE/NAME", ref)
	}
	path, err := servers.ObjectPath(parts[0], parts[1], parts[2])
	ts.Check(err)
	return path
}

func kube(ts *testscript.TestScript, args []string) {
	commands := map[string]struct {
		least, most int
		do          func(*testscript.TestScript, []string)
	}{
		"has": {1, 3, kubeHas}, "absent": {1, 1, kubeAbsent}, "patch": {2, 2, kubePatch}, "apply": {3, 3, kubeApply},
		"delete": {1, 1, kubeDelete}, "secret": {2, -1, kubeSecret}, "mark": {0, 0, kubeMark}, "untouched": {0, 0, kubeWrote},
		"wrote": {1, -1, kubeWrote}, "established": {1, 1, kubeEstablished}, "token": {1, 1, kubeToken}, "hides": {1, 1, kubeHides},
	}
	if len(args) == 0 {
		ts.Fatalf("usage: kube COMMAND ARGS...")
	}
	command, known := commands[args[0]]
	if !known {
		ts.Fatalf("kube: there is no command %s", args[0])
	}
	args = args[1:]
	want(ts, args, command.least, command.most, "see the package's documentation")
	command.do(ts, args)
}

func kubeHas(ts *testscript.TestScript, args []string) {
	ctx, cancel := within()
	defer cancel()
	answer, err := of(ts).cluster.Get(ctx, path(ts, args[0]))
	ts.Check(err)
	if len(args) == 1 {
		return
	}
	want(ts, args, 3, 3, "kube has REF PATH VALUE")
	var object any
	ts.Check(json.Unmarshal(answer, &object))
	got, found := jsonpath.At(object, args[1])
	if !found || jsonpath.Text(got) != args[2] {
		ts.Fatalf("%s holds %s at %s, not %q", args[0], jsonpath.Text(got), args[1], args[2])
	}
}

func kubeAbsent(ts *testscript.TestScript, args []string) {
	poll(ts, args[0]+" is absent", func() bool {
		ctx, cancel := within()
		defer cancel()
		_, err := of(ts).cluster.Get(ctx, path(ts, args[0]))
		var status *servers.StatusError
		if err != nil && (!errors.As(err, &status) || status.Status != http.StatusNotFound) {
			ts.Fatalf("%v", err)
		}
		return err != nil
	})
}

func kubePatch(ts *testscript.TestScript, args []string) {
	ctx, cancel := within()
	defer cancel()
	_, err := of(ts).cluster.Patch(ctx, path(ts, args[0]), []byte(args[1]))
	ts.Check(err)
}

func kubeApply(ts *testscript.TestScript, args []string) {
	ctx, cancel := within()
	defer cancel()
	_, err := of(ts).cluster.Apply(ctx, path(ts, args[0]), args[1], []byte(ts.ReadFile(args[2])))
	ts.Check(err)
}

func kubeDelete(ts *testscript.TestScript, args []string) {
	ctx, cancel := within()
	defer cancel()
	ts.Check(of(ts).cluster.Delete(ctx, path(ts, args[0])))
}

func kubeSecret(ts *testscript.TestScript, args []string) {
	values := map[string]string{}
	for _, pair := range args[1:] {
		key, value, _ := strings.Cut(pair, "=")
		if file, isFile := strings.CutPrefix(value, "@"); isFile {
			data, err := os.ReadFile(ts.MkAbs(file))
			ts.Check(err)
			value = string(data)
		}
		values[key] = value
	}
	secret, err := json.Marshal(map[string]any{"metadata": map[string]any{"name": args[0]}, "stringData": values})
	ts.Check(err)
	ctx, cancel := within()
	defer cancel()
	_, err = of(ts).cluster.Create(ctx, "/api/v1/namespaces/"+of(ts).name+"/secrets", secret)
	ts.Check(err)
}

// kubeEstablished waits until the server serves the kind of a CustomResourceDefinition.
func kubeEstablished(ts *testscript.TestScript, args []string) {
	plural, group, _ := strings.Cut(args[0], ".")
	poll(ts, args[0]+" is served", func() bool {
		ctx, cancel := within()
		defer cancel()
		status, answer, err := of(ts).cluster.Do(ctx, http.MethodGet, "/apis/"+group+"/v1", "", nil)
		ts.Check(err)
		return status == http.StatusOK && strings.Contains(string(answer), `"name":"`+plural+`"`)
	})
}

// kubeToken writes the token of the script's user to a file.
func kubeToken(ts *testscript.TestScript, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(of(ts).cluster.User(of(ts).name).Token+"\n"), 0o600))
}

// kubeHides holds that a token shows nowhere.
func kubeHides(ts *testscript.TestScript, args []string) {
	canary(ts, []string{strings.TrimSpace(ts.ReadFile(args[0]))})
}

func kubeMark(ts *testscript.TestScript, _ []string) {
	_, next, err := of(ts).cluster.Audit(of(ts).mark)
	ts.Check(err)
	of(ts).mark = next
}

// kubeWrote holds what Tidemark wrote since the mark against expressions; without one, nothing may have been written.
func kubeWrote(ts *testscript.TestScript, expressions []string) {
	got, err := writes(of(ts).cluster, of(ts).mark, of(ts).name)
	ts.Check(err)
	left := slices.Clone(got)
	for _, expression := range expressions {
		matching := regexp.MustCompile(expression)
		i := slices.IndexFunc(left, matching.MatchString)
		if i < 0 {
			ts.Fatalf("no write matches %s; the writes were:\n%s", expression, strings.Join(got, "\n"))
		}
		left = slices.Delete(left, i, i+1)
	}
	if len(left) > 0 {
		ts.Fatalf("written, and not expected:\n%s", strings.Join(left, "\n"))
	}
}

// isWitness tells the Lease by which the cluster remembers a ledger, which no app has anything to do with.
func isWitness(e servers.AuditEvent) bool {
	return e.ObjectRef.Resource == "leases" && e.ObjectRef.Namespace == "kube-system"
}

// writes gives the requests of a user that changed the cluster, or tried to; but for the witness.
func writes(cp *servers.ControlPlane, mark int64, user string) ([]string, error) {
	events, _, err := cp.Audit(mark)
	var found []string
	for _, e := range events {
		if e.User == user && e.IsWrite() && !isWitness(e) && !isQuestion(e) && e.Stage == "ResponseComplete" && !strings.Contains(e.RequestURI, "dryRun=All") {
			found = append(found, fmt.Sprintf("%s %s %d", e.Verb, e.RequestURI, e.ResponseCode))
		}
	}
	return found, err
}

// isQuestion: what asks for a permission is sent as if it were to be kept, and is not.
func isQuestion(e servers.AuditEvent) bool {
	return strings.HasSuffix(e.RequestURI, "/selfsubjectaccessreviews")
}
