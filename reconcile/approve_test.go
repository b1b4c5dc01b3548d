package reconcile_test

import (
	"strings"
	"testing"

	"tidemark.dev/tidemark/reconcile"
)

// An app may be named although the records know the plan, as a variable of the
// environment does; only a plan that was never recorded wants its whole hash.
func TestApproveByAppAndBeginning(t *testing.T) {
	t.Parallel()
	app := newApp(t, "app")
	app.configMap("one", "x")
	app.files["annex.yaml"] = strings.ReplaceAll(app.files["namespace.yaml"], app.app.Namespace, app.app.Namespace+"-annex")
	w := newWorld(t, app)
	w.sync(0)
	delete(app.files, "annex.yaml")
	hash := w.sync(10).Record.Apps[0].PlanHash
	approve := func(name, hash string) error {
		_, err := reconcile.Approve(t.Context(), w.open().Ledger, reconcile.Approval{Hash: hash, App: name, Reason: "meant", Actor: "tester", Now: now})
		return err
	}
	for _, test := range []struct{ app, hash, want string }{
		{"app", "0123456789", "no record of this ledger names a plan 0123456789"},
		{"other", hash[:12], `the ledger has no app "other"`},
	} {
		if err := approve(test.app, test.hash); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("approve %s for %s: got %v, want %s", test.hash, test.app, err, test.want)
		}
	}
	if err := approve("app", hash[:12]); err != nil {
		t.Fatal(err)
	}
	w.sync(0)
}
