package state_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

func TestInventory(t *testing.T) {
	old := state.Member{ID: web, Version: "v1", UID: "u1", Origin: state.Adopted, Kept: true}
	planned := state.Member{ID: web, Version: "v2", Origin: state.Created}
	other := state.Member{ID: shop, Version: "v1", Origin: state.Created}
	inv := state.Inventory{App: "web"}.Widen(old)
	before := slices.Clone(inv.Members)

	wide := inv.Widen(planned, other)
	if diff := cmp.Diff([]state.Member{other, old}, wide.Members); diff != "" {
		t.Errorf("Widen keeps what is owned, sorted: want - got +\n%s", diff)
	}
	if diff := cmp.Diff([]state.Member{other, planned}, wide.Update(planned).Members); diff != "" {
		t.Errorf("Update replaces: want - got +\n%s", diff)
	}
	if diff := cmp.Diff([]state.Member{other}, wide.Narrow(web, creds).Members); diff != "" {
		t.Errorf("Narrow removes: want - got +\n%s", diff)
	}
	if _, found := wide.Lookup(creds); found {
		t.Errorf("Lookup of a stranger: found")
	}
	if got, found := wide.Lookup(web); !found || got.UID != "u1" {
		t.Errorf("Lookup: got %v, %v", got, found)
	}
	doubted := wide.Doubt(tide, func(m state.Member) bool { return m.UID == "" })
	if got := []*time.Time{doubted.Members[0].Unsettled, doubted.Members[1].Unsettled}; got[0] == nil || !got[0].Equal(tide) || got[1] != nil {
		t.Errorf("Doubt: got %v", got)
	}
	if again := doubted.Doubt(tide.Add(time.Hour), func(state.Member) bool { return true }); !again.Members[0].Unsettled.Equal(tide) {
		t.Errorf("Doubt again: got %v, want the first time to stay", again.Members[0].Unsettled)
	}
	if diff := cmp.Diff(before, inv.Members); diff != "" || wide.Members[0].Unsettled != nil {
		t.Errorf("an inventory was edited in place: want - got +\n%s", diff)
	}
}

// A ghost, or what a dead run left unsettled, is believed gone 2 TTL + 60 s
// later at the earliest.
func TestForgettable(t *testing.T) {
	since := tide
	for name, test := range map[string]struct {
		member state.Member
		after  time.Duration
		want   bool
	}{
		"no doubt":                 {state.Member{}, 0, true},
		"ghost, at once":           {state.Member{Ghost: &since}, 0, false},
		"ghost, in time":           {state.Member{Ghost: &since}, 3 * time.Minute, false},
		"ghost, later":             {state.Member{Ghost: &since}, 3*time.Minute + 1, true},
		"unsettled, in time":       {state.Member{Unsettled: &since}, 3 * time.Minute, false},
		"unsettled, later":         {state.Member{Unsettled: &since}, 3*time.Minute + 1, true},
		"the store's time is lost": {state.Member{Ghost: &since}, -tide.Sub(time.Time{}), false},
	} {
		if got := test.member.Forgettable(tide.Add(test.after), time.Minute); got != test.want {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
}

func TestDecodeInventoryRefuses(t *testing.T) {
	member := func(id object.ID, origin state.Origin) state.Member { return state.Member{ID: id, Origin: origin} }
	for name, members := range map[string][]state.Member{
		"disorder":    {member(web, state.Created), member(shop, state.Created)},
		"twice":       {member(shop, state.Created), member(shop, state.Created)},
		"no name":     {member(object.ID{Kind: "Namespace"}, state.Created)},
		"no origin":   {member(shop, "")},
		"odd origins": {member(shop, "stolen")},
	} {
		data, err := state.Inventory{App: "a", Members: members}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := state.DecodeInventory(data); !errors.Is(err, state.ErrDamaged) {
			t.Errorf("%s: got %v, want ErrDamaged", name, err)
		}
	}
}

func TestObservation(t *testing.T) {
	o := sampleObservation()
	app, found := o.App("web")
	if got, seen := app.Lookup(web); !found || !seen || got.UID != "u1" || got.ResourceVersion != "77" {
		t.Errorf("got %+v, %t, of %+v", got, seen, o)
	}
	if got, found := app.Lookup(object.ID{Kind: "Secret", Namespace: "shop", Name: "other"}); found {
		t.Errorf("Lookup of what was not seen: got %+v", got)
	}
	if got, found := o.App("shop"); found {
		t.Errorf("App of an app that was not seen: got %+v", got)
	}
}

// An observation is a cache: one that cannot be written down, or read, is none,
// and never another.
func TestObservationIsWholeOrNone(t *testing.T) {
	good := sampleObservation()
	odd := state.SeenApp{Name: "odd", Inventory: "i", Members: []state.Seen{{ID: object.ID{Kind: "ConfigMap", Name: "a\tb"}}}}
	data, err := state.Observation{Kinds: good.Kinds, Apps: append([]state.SeenApp{odd}, good.Apps...)}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := state.DecodeObservation(data)
	if _, found := got.App("odd"); err != nil || found || len(got.Apps) != len(good.Apps) {
		t.Errorf("got %+v, %v; want it without the app whose member has a tab in its name", got, err)
	}

	whole, err := good.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"a field is missing":  {"\t77\t", "\t"},
		"a field too many":    {"\t77\t", "\t77\t8\t"},
		"no such kind":        {"\n0\t", "\n9\t"},
		"no such flag":        {"\ts\tu1", "\tz\tu1"},
		"no number":           {"\t77\t3\t", "\t77\tthree\t"},
		"the last line broke": {sum([]byte("meta")) + "\n", sum([]byte("meta"))},
		"lines of nobody":     {`"bytes":`, `"bytes":1`},
		"another order":       {"\tshop\tcreds", "\tzzz\tcreds"},
	} {
		bent := strings.Replace(string(whole), change[0], change[1], 1)
		if bent == string(whole) {
			t.Fatalf("%s: nothing was changed in %s", name, whole)
		}
		if got, err := state.DecodeObservation([]byte(bent)); !errors.Is(err, state.ErrDamaged) {
			t.Errorf("%s: got %+v, %v; want ErrDamaged", name, got, err)
		}
	}
}
