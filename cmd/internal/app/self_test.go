package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/reconcile"
)

// server stands in for a cluster that serves pods, Jobs and CronJobs, and has
// these objects, by path, each with the owner that it names.
func server(t *testing.T, owners map[string]string) string {
	t.Helper()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		kind := func(name, plural string) string {
			return fmt.Sprintf(`{"resource": %q, "responseKind": {"kind": %q}, "scope": "Namespaced", "verbs": ["get", "list"]}`, plural, name)
		}
		const list = `{"kind": "APIGroupDiscoveryList", "items": [{"metadata": {"name": %q}, "versions": [{"version": "v1", "resources": [%s]}]}]}`
		owner, found := owners[r.URL.Path]
		switch {
		case r.URL.Path == "/version":
			_, _ = fmt.Fprint(w, `{"gitVersion": "v1.33.1"}`)
		case r.URL.Path == "/api":
			_, _ = fmt.Fprintf(w, list, "", kind("Pod", "pods"))
		case r.URL.Path == "/apis":
			_, _ = fmt.Fprintf(w, list, "batch", kind("Job", "jobs")+","+kind("CronJob", "cronjobs"))
		case found:
			_, _ = fmt.Fprintf(w, `{"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "x", "uid": "u", "resourceVersion": "1", "annotations": {"cronjob.kubernetes.io/instantiate": "manual", "tidemark.dev/creator": "jane"}, "ownerReferences": [%s]}}`, owner)
		default:
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprint(w, `{"kind": "Status", "reason": "Forbidden", "message": "may not get pods"}`)
		}
	}))
	t.Cleanup(api.Close)
	return api.URL
}

// A run knows what it runs from, and says so when it cannot find out.
func TestSelf(t *testing.T) {
	const owner = `{"kind": %q, "name": %q, "uid": "u", "controller": true}`
	pod, job, cron := "/api/v1/namespaces/ops/pods/p", "/apis/batch/v1/namespaces/ops/jobs/j", "/apis/batch/v1/namespaces/ops/cronjobs/c"
	variables := map[string]string{"TIDEMARK_POD_NAME": "p", "TIDEMARK_POD_NAMESPACE": "ops", "TIDEMARK_SERVICE_ACCOUNT": "sa"}
	for _, test := range []struct {
		name      string
		variables map[string]string
		owners    map[string]string
		want      []string
		warning   string // empty for none
	}{
		{"no pod", nil, nil, nil, ""},
		{
			"a CronJob", variables,
			map[string]string{pod: fmt.Sprintf(owner, "Job", "j"), job: fmt.Sprintf(owner, "CronJob", "c"), cron: ""},
			[]string{"Namespace ops", "ServiceAccount ops/sa", "Pod ops/p", "Job.batch ops/j", "CronJob.batch ops/c"},
			"",
		},
		{"unreadable", variables, nil, []string{"Namespace ops", "ServiceAccount ops/sa", "Pod ops/p"}, "read Pod ops/p"},
		{
			"half readable", variables,
			map[string]string{pod: fmt.Sprintf(owner, "Job", "j")},
			[]string{"Namespace ops", "ServiceAccount ops/sa", "Pod ops/p", "Job.batch ops/j"},
			"read Job.batch ops/j",
		},
		{
			"of another operator", variables,
			map[string]string{pod: fmt.Sprintf(owner, "Workflow", "w")},
			[]string{"Namespace ops", "ServiceAccount ops/sa", "Pod ops/p"},
			"belongs to the Workflow w",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			session := open(t, env(t, test.variables), app.Settings{
				Repo: "r", Apps: []string{"a"}, State: t.TempDir(), Server: server(t, test.owners), TokenFile: write(t, "token", "t"),
			})
			job, err := session.Job(t.Context(), reconcile.Sync)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, id := range job.Self {
				got = append(got, id.String())
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
			// The Job says that it was made by hand, where it can be read.
			if _, read := test.owners["/apis/batch/v1/namespaces/ops/jobs/j"]; read && (job.Trigger != "manual" || job.Actor != "jane") {
				t.Errorf("trigger %q by %q, want manual by jane", job.Trigger, job.Actor)
			}
			warnings := strings.Join(session.Warnings(), "\n")
			if (warnings == "") != (test.warning == "") || !strings.Contains(warnings, test.warning) {
				t.Errorf("warned %q, want %q", warnings, test.warning)
			}
		})
	}
}
