package reconcile_test

import (
	"strings"
	"testing"

	"tidemark.dev/tidemark/state"
)

// A head in which two inventories changed places is whole in every byte, and
// would let each app forget, or prune, what is the other's.
func TestRunRefusesAnotherAppsInventory(t *testing.T) {
	t.Parallel()
	web, db := newApp(t, "web"), newApp(t, "db")
	web.configMap("one", "1")
	db.configMap("two", "1")
	w := newWorld(t, web, db)
	w.sync(0)

	blob, err := w.store.Get(t.Context(), "head.json")
	if err != nil {
		t.Fatal(err)
	}
	head, err := state.DecodeHead(blob.Data)
	if err != nil {
		t.Fatal(err)
	}
	first, second := head.Apps["web"], head.Apps["db"]
	first.Inventory, second.Inventory = second.Inventory, first.Inventory
	head.Apps["web"], head.Apps["db"] = first, second
	forged, err := state.EncodeHead(head)
	if err == nil {
		_, err = w.store.Swap(t.Context(), "head.json", forged, blob.Version)
	}
	if err != nil {
		t.Fatal(err)
	}
	report := w.sync(13)
	if !strings.Contains(report.Record.Message, "it is the inventory of the app") {
		t.Errorf("message = %q, want what is wrong", report.Record.Message)
	}
	if web.get(t, "one") != "1" || db.get(t, "two") != "1" {
		t.Error("an object is gone, want both untouched")
	}
}
