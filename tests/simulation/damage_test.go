package simulation

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/state"
)

// ruin tells what a run does with a ledger that somebody damaged: it ends with
// the exit code, and, if that is 13, touches neither ledger nor cluster.
func ruin(t *testing.T, p past, what string, exit int, damage func(blobs map[string][]byte)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		blobs := maps.Clone(p.blobs)
		damage(blobs)
		w := past{scenario: p.scenario, at: p.at, blobs: blobs, world: p.world}.after(t, 0)
		w.damaged = true
		run := w.alone("after", p.scenario.then, time.Minute)
		if exit == reconcile.ExitState {
			w.intact(blobs)
		}
		w.ends(run, exit)
		if len(w.found) > 0 {
			t.Error(what)
		}
		w.report()
	})
}

// intact: nobody wrote to the cluster, nor to the head, unless it was to add the
// record of a run that failed.
func (w *world) intact(blobs map[string][]byte) {
	for _, p := range w.processes {
		if p.writes > 0 {
			w.violate("intact: %s wrote to the cluster", p.name)
		}
	}
	now := w.blobs()[headName]
	if bytes.Equal(now, blobs[headName]) {
		return
	}
	before, err := state.DecodeHead(blobs[headName])
	after, err2 := state.DecodeHead(now)
	if err != nil || err2 != nil || !reflect.DeepEqual(before.Apps, after.Apps) || before.Epoch != after.Epoch || after.Audit.Seq != before.Audit.Seq+1 {
		w.violate("intact: the head was written: %v %v", err, err2)
	}
}

// old is a ledger that has seen three runs, and the heads that the first two left.
func old(t *testing.T) (p past, heads [][]byte) {
	s := find(t, "add-and-remove")
	s.then = "r3"
	s.prepare = func(w *world) {
		for _, ref := range []string{"r2", "r1"} {
			heads = append(heads, w.blobs()[headName])
			w.alone("at "+ref, ref, time.Minute)
		}
	}
	return before(t, s), heads
}

// TestDamagedHead: a head that was cut off anywhere, or in which any byte is
// another, stops every run.
func TestDamagedHead(t *testing.T) {
	t.Parallel()
	p, _ := old(t)
	head := p.blobs[headName]
	for at := range head {
		ruin(t, p, fmt.Sprintf("cut off at byte %d", at), reconcile.ExitState, func(blobs map[string][]byte) {
			blobs[headName] = head[:at]
		})
		ruin(t, p, fmt.Sprintf("bit %d of byte %d flipped", at%8, at), reconcile.ExitState, func(blobs map[string][]byte) {
			blobs[headName] = bytes.Clone(head)
			blobs[headName][at] ^= 1 << (at % 8)
		})
	}
	t.Logf("counts: damaged state: %d heads cut off or with a bit flipped", 2*len(head))
}

// TestDamagedBlobs: what the head names and a run needs is there as it was
// written, or the run stops; what it can do without makes no difference.
func TestDamagedBlobs(t *testing.T) {
	t.Parallel()
	settled, _ := old(t)
	cases := 0
	for _, p := range []past{settled, before(t, find(t, "take-over"))} {
		names := slices.DeleteFunc(slices.Sorted(maps.Keys(p.blobs)), func(name string) bool {
			return !bytes.Contains(p.blobs[headName], []byte(`"`+name+`"`))
		})
		head, err := state.DecodeHead(p.blobs[headName])
		if err != nil {
			t.Fatal(err)
		}
		open := map[string]bool{} // a plan that was settled is only in the record, for people
		for _, app := range head.Apps {
			if app.Plan != nil {
				open[app.Plan.Path] = true
			}
		}
		for _, name := range names {
			exit := reconcile.ExitOK
			if strings.Contains(name, "/inventory-") || open[name] {
				exit = reconcile.ExitState
			}
			damages := map[string]func(blobs map[string][]byte){
				"missing": func(blobs map[string][]byte) { delete(blobs, name) },
				"cut off": func(blobs map[string][]byte) { blobs[name] = blobs[name][:len(blobs[name])/2] },
			}
			for _, other := range names {
				if other != name {
					damages["swapped for "+other] = func(blobs map[string][]byte) { blobs[name] = blobs[other] }
				}
			}
			for how, damage := range damages {
				ruin(t, p, p.world.short(name)+" "+how, exit, damage)
				cases++
			}
		}
	}
	t.Logf("counts: damaged state: %d blobs missing, swapped or cut off", cases)
}

// TestOldHead: a head that was restored from before stops every run, by the word
// of the witness; where there is none, by the audit chain, which knows of all
// records but the newest.
func TestOldHead(t *testing.T) {
	t.Parallel()
	p, heads := old(t)
	for back, head := range heads {
		ruin(t, p, fmt.Sprintf("head %d", back), reconcile.ExitState, func(blobs map[string][]byte) { blobs[headName] = head })
	}
	ruin(t, p, "no head", reconcile.ExitState, func(blobs map[string][]byte) { delete(blobs, headName) })
	p.scenario.unwitnessed = true
	ruin(t, p, "an old head, unwitnessed", reconcile.ExitState, func(blobs map[string][]byte) { blobs[headName] = heads[0] })
	ruin(t, p, "no head, unwitnessed", reconcile.ExitState, func(blobs map[string][]byte) { delete(blobs, headName) })
}

// TestMixedLineages: the head of one ledger between the blobs of another, or all
// of another ledger, stops every run.
func TestMixedLineages(t *testing.T) {
	t.Parallel()
	p, _ := old(t)
	other := find(t, "add-and-remove")
	var blobs map[string][]byte
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, other, 1)
		w.alone("other1", "r1", time.Minute)
		w.alone("other2", "r2", time.Minute)
		blobs = w.blobs()
	})
	ruin(t, p, "the head of another ledger", reconcile.ExitState, func(ours map[string][]byte) { ours[headName] = blobs[headName] })
	ruin(t, p, "the head of another ledger, and its blobs", reconcile.ExitState, func(ours map[string][]byte) { maps.Copy(ours, blobs) })
	ruin(t, p, "another ledger", reconcile.ExitState, func(ours map[string][]byte) {
		clear(ours)
		maps.Copy(ours, blobs)
	})
}

// TestForeignEntries: objects of others that somebody slipped into an inventory,
// all hashes right, are never changed or deleted.
func TestForeignEntries(t *testing.T) {
	t.Parallel()
	p, _ := old(t)
	cases := 0
	for _, right := range []bool{true, false} {
		for _, ref := range []string{"r1", "r2", "r3"} {
			synctest.Test(t, func(t *testing.T) {
				w := p.after(t, 0)
				w.slip(right)
				w.ref = ref
				w.choose = plain{}
				for i := range 2 {
					run := w.alone(fmt.Sprintf("run%d", i+1), ref, time.Minute)
					w.ends(run, reconcile.ExitOK)
				}
				w.converged(ref)
				w.report()
			})
			cases++
		}
	}
	t.Logf("counts: damaged state: %d inventories with entries of others", cases)
}

// slip puts every canary into the inventory of the app, with its UID or with
// another, and writes the head anew.
func (w *world) slip(right bool) {
	if len(w.canaries) == 0 {
		w.t.Fatal("there are no objects of others")
	}
	head := *w.head()
	app := head.Apps["web"]
	inventory := w.inventoryOf(app.Inventory)
	for id, canary := range w.canaries {
		member := state.Member{ID: id, Version: "v1", UID: "uid-of-another", Origin: state.Created}
		if right {
			member.UID = canary.uid
		}
		inventory = inventory.Update(member)
	}
	data, err := inventory.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	app.Inventory = &state.Ref{Path: "runs/slipped/inventory-web", SHA256: hex.EncodeToString(sum[:])}
	head.Apps = map[string]state.App{"web": app}
	text, err := state.EncodeHead(head)
	if err != nil {
		w.t.Fatal(err)
	}
	for name, data := range map[string][]byte{app.Inventory.Path: data, headName: text} {
		if err := w.store.Delete(context.Background(), name); err != nil {
			w.t.Fatal(err)
		}
		if _, err := w.store.Create(context.Background(), name, data); err != nil {
			w.t.Fatal(err)
		}
	}
	w.heads[len(w.heads)-1].Head = head
	w.names["slipped"] = "slipped"
}
