package state_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

var update = flag.Bool("update", false, "write the golden files of the current format anew")

func sum(data []byte) string {
	digest := sha256.Sum256(data)
	return hex.EncodeToString(digest[:])
}

var (
	tide  = time.Date(2026, 7, 1, 6, 0, 0, 0, time.UTC)
	web   = object.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}
	creds = object.ID{Kind: "Secret", Namespace: "shop", Name: "creds"}
	shop  = object.ID{Kind: "Namespace", Name: "shop"}
)

func ref(name string) *state.Ref {
	return &state.Ref{Path: "runs/01JZ0000000000000000000000/" + name, SHA256: sum([]byte(name))}
}

// The samples use every field of the format.
func sampleRecord() state.Record {
	return state.Record{
		Format: 1, Seq: 41, Previous: sum([]byte("40")), Run: "01JZ0000000000000000000000", Lineage: "4f1c", Epoch: 7,
		Trigger: "schedule", Actor: "system:serviceaccount:tidemark:tidemark", Tool: "tidemark v1.0.0", Config: sum([]byte("config")),
		Started: tide, Finished: tide.Add(4 * time.Second), Verdict: state.Partial, Exit: 11, Command: "suspend", Message: "1 of 2 apps: <failed> & so on",
		Interrupted: []string{"01JY0000000000000000000000"},
		Apps: []state.AppRecord{{
			Name: "web", Verdict: state.Partial, Message: "not healthy in time",
			Health: &state.AppHealth{Verdict: state.Unhealthy, Since: tide, Current: 1, Total: 2, Objects: []state.ObjectHealth{{
				ID: object.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}, State: "failed", Message: "no progress",
				Evidence: &state.Evidence{
					Conditions: []state.Condition{{Type: "Progressing", Status: "False", Reason: "ProgressDeadlineExceeded", Message: "no progress"}},
					Events:     []state.Event{{Object: object.ID{Kind: "Pod", Namespace: "shop", Name: "web-1"}, Last: tide, Count: 3, Type: "Warning", Reason: "Failed", Message: "no image"}},
					Logs:       []state.Log{{Pod: "web-1", Container: "web", Previous: true, Lines: []string{"panic"}}},
					Missing:    []string{"events of the pods: forbidden"},
				},
			}}},
			Revision: &state.Revision{Repo: "https://example.com/shop.git", Ref: "refs/heads/main", Commit: "c0ffee", Author: "A <a@example.com>", Subject: "Scale web"},
			Chart:    &state.Chart{Repo: "oci://example.com/charts", Name: "web", Version: "1.2.3", Digest: "sha256:00"},
			From:     "decaf", Engine: "helm", PlanHash: sum([]byte("plan")), Plan: ref("plan-web"), Set: ref("set-web"), Proposal: ref("proposal-web"),
			Approved: &state.Approval{PlanHash: sum([]byte("plan")), Reason: "yes", Actor: "eve", Since: tide, Commit: "c0ffee", Committer: "bot"},
			Counts:   state.Counts{Created: 1, Changed: 2, Pruned: 3, Adopted: 4, Unchanged: 5, Drifted: 6, Failed: 7, Deferred: 8, Kept: 9},
			Changes:  []state.Change{{ID: web, Action: "apply", Reason: "changed", Outcome: "failed", Message: "timed out"}},
			Refusals: []state.Refusal{{Reason: "budget", Message: "prunes 40 of 50", PlanHash: sum([]byte("plan"))}},
			Warnings: []string{"status was dropped"}, Contested: []state.Contest{contest},
		}},
		Warnings: []string{"no permission for the witness"},
		Folded:   &state.Folded{Runs: 59, First: tide.Add(-time.Hour), Last: tide.Add(-time.Minute)},
		Dropped:  []string{"01JX0000000000000000000000"},
		Cost: state.Cost{
			KubernetesRequests: map[string]int64{"list": 4, "patch": 2}, StoreRequests: 5, GitRequests: 1, GitBytes: 2048, Renders: 1, Seconds: 4.25,
			Fetches: []state.Fetch{{Repo: "https://example.com/shop.git", Commit: "c0ffee", Way: "whole", Note: "the server has no filter", Requests: 1, Bytes: 1024}},
			Stages:  map[string]float64{"fetch": 0.5, "apply": 3}, PeakMemoryBytes: 64 << 20,
		},
	}
}

var contest = state.Contest{ID: web, Runs: 3, Managers: []string{"tidemark", "kubectl"}}

func sampleHead(record []byte) state.Head {
	kept := state.Kept{Digest: sum([]byte("set"))[:32], Set: *ref("set-web"), Rest: *ref("kept-web"), Sealed: sum([]byte("read"))[:32]}
	return state.Head{
		Format: 1, Lineage: "4f1c", Cluster: "0b5e", Config: sum([]byte("config")), Seq: 123, Nonce: "d1ce", Epoch: 7, Heard: 7, Witnessed: 6,
		Committed: &state.Committed{Repo: "https://example.com/shop.git", Commit: "c0ffee", Path: "tidemark.yaml", Text: *ref("config")},
		Lease: state.Lease{
			Run: "01JZ0000000000000000000000", Holder: "tidemark-29", TTL: state.Duration(time.Minute), Renewed: tide, Free: true,
			Interrupted: []string{"01JY0000000000000000000000"},
		},
		Observed: ref("observed"), Reads: ref("reads"), Freeze: &state.Suspension{Reason: "sales", Actor: "bob", Since: tide},
		Apps: map[string]state.App{"web": {
			Revision: &state.Revision{Repo: "https://example.com/shop.git", Commit: "c0ffee"},
			Chart:    &state.Chart{Name: "web", Version: "1.2.3"},
			Inputs:   sum([]byte("inputs")), Inventory: ref("inventory-web"), Plan: ref("plan-web"), Set: ref("set-web"), Result: ref("result"),
			Health: state.Unhealthy, Waiting: tide,
			NewCluster: true, Left: true, Kept: []state.Kept{kept}, Present: kept.Digest,
			Quarantine: &state.Quarantine{Commit: "bad", Inputs: sum([]byte("bad")), Content: sum([]byte("read")), Reason: "rolled back", Run: "01JY0000000000000000000000", Since: tide, Set: &kept},
			Pin:        &state.Pin{Revision: &state.Revision{Repo: "r", Commit: "old"}, Set: &kept, Reason: "incident 7", Actor: "eve", Since: tide, Until: tide.Add(time.Hour), UntilChange: true, Inputs: sum([]byte("inputs")), Content: sum([]byte("content"))},
			Suspend:    &state.Suspension{Reason: "moving", Actor: "ada", Since: tide, Until: tide.Add(time.Hour)},
			Proposal:   &state.Proposal{PlanHash: sum([]byte("plan")), Plan: *ref("proposal-web"), Looked: "c0ffee", Since: tide},
			Hooks:      &state.Hooks{Key: kept.Digest[:16], Ran: []state.HookRan{{ID: web, Hook: "PreSync", Failed: true}}},
			Approval:   &state.Approval{PlanHash: sum([]byte("plan")), Reason: "yes", Actor: "eve", Since: tide},
			Contests:   []state.Contest{contest},
		}},
		Audit: state.Audit{
			Seq: 41, Hash: sum(record), Inline: record, Verdict: state.Partial, Finished: tide,
			Folded: &state.Folded{Runs: 1, First: tide, Last: tide}, Dropped: []string{"01JX0000000000000000000000"}, Swept: 12, Oldest: tide,
		},
	}
}

func sampleInventory() state.Inventory {
	since := tide
	return state.Inventory{App: "web"}.Update(
		state.Member{ID: web, Version: "v1", UID: "u1", Origin: state.Created, Digest: sum([]byte("web"))},
		state.Member{ID: creds, Version: "v1", Origin: state.Adopted, Ghost: &since, Unsettled: &since},
		state.Member{ID: shop, Version: "v1", UID: "u3", Origin: state.Created, Kept: true, Hook: true},
	)
}

func sampleObservation() state.Observation {
	return state.Observation{
		Kinds: []state.SeenKind{
			{GroupKind: shop.GroupKind(), Version: "v1", Resource: "namespaces"},
			{GroupKind: web.GroupKind(), Version: "v1", Resource: "deployments", Namespaced: true},
			{GroupKind: creds.GroupKind(), Version: "v1", Resource: "secrets", Namespaced: true},
		},
		Apps: []state.SeenApp{{Name: "web", Inventory: sum([]byte("inventory")), Members: []state.Seen{
			{ID: shop, Origin: state.Adopted, Kept: true},
			{ID: creds, Origin: state.Created},
			{ID: web, Origin: state.Created, Known: true, UID: "u1", ResourceVersion: "77", Generation: 3, Digest: sum([]byte("meta"))},
		}}},
	}
}

func sampleReads() state.Reads {
	return state.Reads{Apps: map[string]state.AppReads{"web": {
		Rest:    sum([]byte("rest")),
		Outline: state.Asked{Questions: "t web\n", Answers: sum([]byte("outline"))},
		Whole:   state.Asked{Questions: "a web/.gone\nf web/app.yaml\n", Answers: sum([]byte("answers"))},
	}}}
}

func sampleSet() state.StoredSet {
	return state.StoredSet{Format: 1, App: "web", Digest: sum([]byte("set")), Objects: []state.StoredObject{
		{ID: web, Version: "v1", File: "deploy/web.yaml", Document: 2, Content: []byte(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"shop"},"spec":{"replicas":2}}`)},
	}}
}

// What this version writes is what the museum's newest pieces hold.
func TestFormat(t *testing.T) {
	record, err := state.EncodeRecord(sampleRecord())
	if err != nil {
		t.Fatal(err)
	}
	head, err := state.EncodeHead(sampleHead(record))
	if err != nil {
		t.Fatal(err)
	}
	inventory, err := sampleInventory().Encode()
	if err != nil {
		t.Fatal(err)
	}
	observation, err := sampleObservation().Encode()
	if err != nil {
		t.Fatal(err)
	}
	reads, err := sampleReads().Encode()
	if err != nil {
		t.Fatal(err)
	}
	set, err := sampleSet().Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{"record": record, "set": set, "head": head, "inventory": inventory, "observation": observation, "reads": reads} {
		path := filepath.Join("testdata", "v1", name+".json")
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, append(want, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), strings.TrimSuffix(string(got), "\n")); diff != "" {
			t.Errorf("%s: this version writes other bytes than the museum has: want - got +\n%s", name, diff)
		}
	}

	gotHead, err := state.DecodeHead(head)
	if err != nil {
		t.Fatal(err)
	}
	want := sampleHead(record)
	want.Sum = gotHead.Sum
	if diff := cmp.Diff(want, gotHead); diff != "" {
		t.Errorf("head read back: want - got +\n%s", diff)
	}
	again, err := state.EncodeHead(gotHead)
	if err != nil || !bytes.Equal(again, head) {
		t.Errorf("head written again: got %s, %v, want %s", again, err, head)
	}
	if !bytes.Contains(head, record) {
		t.Errorf("the record's bytes are others inside of the head")
	}
	gotRecord, err := state.DecodeRecord(record)
	if diff := cmp.Diff(sampleRecord(), gotRecord); err != nil || diff != "" {
		t.Errorf("record read back: %v, want - got +\n%s", err, diff)
	}
	gotInventory, err := state.DecodeInventory(inventory)
	wantInventory := sampleInventory()
	wantInventory.Format = 1
	if diff := cmp.Diff(wantInventory, gotInventory); err != nil || diff != "" {
		t.Errorf("inventory read back: %v, want - got +\n%s", err, diff)
	}
	gotObservation, err := state.DecodeObservation(observation)
	if diff := cmp.Diff(sampleObservation(), gotObservation, cmpopts.IgnoreUnexported(state.SeenApp{})); err != nil || diff != "" {
		t.Errorf("observation read back: %v, want - got +\n%s", err, diff)
	}
	if again, err := gotObservation.Encode(); err != nil || !bytes.Equal(again, observation) {
		t.Errorf("observation written again: got %s, %v, want %s", again, err, observation)
	}
	gotReads, err := state.DecodeReads(reads)
	if diff := cmp.Diff(sampleReads(), gotReads); err != nil || diff != "" {
		t.Errorf("what was read, read back: %v, want - got +\n%s", err, diff)
	}
	packed, err := state.Pack(set)
	if err != nil {
		t.Fatal(err)
	}
	for _, stored := range [][]byte{set, packed} {
		got, err := state.DecodeSet(stored)
		if diff := cmp.Diff(sampleSet(), got); err != nil || diff != "" {
			t.Errorf("set read back: %v, want - got +\n%s", err, diff)
		}
	}
}

func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "v1", "*.json"))
	if err != nil || len(files) == 0 {
		f.Fatal("no samples", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if head, err := state.DecodeHead(data); err != nil && !typed(err) {
			t.Errorf("head: %v is neither ErrDamaged nor ErrNewer", err)
		} else if err == nil {
			if again, err := state.EncodeHead(head); err != nil {
				t.Errorf("head cannot be written again: %v", err)
			} else if _, err := state.DecodeHead(again); err != nil {
				t.Errorf("head written again cannot be read: %v", err)
			}
		}
		if inventory, err := state.DecodeInventory(data); err != nil && !typed(err) {
			t.Errorf("inventory: %v is neither ErrDamaged nor ErrNewer", err)
		} else if err == nil {
			again, err := inventory.Encode()
			if err != nil {
				t.Errorf("inventory cannot be written again: %v", err)
			} else if _, err := state.DecodeInventory(again); err != nil {
				t.Errorf("inventory written again cannot be read: %v", err)
			}
		}
		if _, err := state.DecodeObservation(data); err != nil && !typed(err) {
			t.Errorf("observation: %v is neither ErrDamaged nor ErrNewer", err)
		}
		if _, err := state.DecodeSet(data); err != nil && !typed(err) {
			t.Errorf("set: %v is neither ErrDamaged nor ErrNewer", err)
		}
		if _, err := state.DecodeRecord(data); err != nil && !typed(err) {
			t.Errorf("record: %v is neither ErrDamaged nor ErrNewer", err)
		}
	})
}
