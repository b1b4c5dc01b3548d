package state_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/state"
)

func typed(err error) bool {
	return errors.Is(err, state.ErrDamaged) || errors.Is(err, state.ErrNewer)
}

func TestDamagedHead(t *testing.T) {
	good, err := os.ReadFile(filepath.Join("testdata", "v1", "head.json"))
	if err != nil {
		t.Fatal(err)
	}
	good = bytes.TrimSuffix(good, []byte("\n"))
	if _, err := state.DecodeHead(good); err != nil {
		t.Fatal(err)
	}
	for n := range good {
		if head, err := state.DecodeHead(good[:n]); !errors.Is(err, state.ErrDamaged) {
			t.Fatalf("truncated to %d bytes: got %+v, %v, want ErrDamaged", n, head, err)
		}
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[n] ^= 1 << bit
			if head, err := state.DecodeHead(bad); !typed(err) {
				t.Fatalf("bit %d of byte %d flipped: got %+v, %v, want ErrDamaged or ErrNewer", bit, n, head, err)
			}
		}
	}
	t.Logf("counts: damage: a head cut off at each of %d bytes, and with each of %d bits flipped: refused", len(good), 8*len(good))
	for name, bad := range map[string]string{
		"appended":  string(good) + "x",
		"newline":   string(good) + "\n",
		"twice":     string(good) + string(good),
		"HTML":      "<html>captive portal</html>",
		"array":     "[]",
		"null":      "null",
		"no format": "{}",
	} {
		if _, err := state.DecodeHead([]byte(bad)); !errors.Is(err, state.ErrDamaged) {
			t.Errorf("%s: got %v, want ErrDamaged", name, err)
		}
	}
}

// A head whose sum is right, but that no run could have written.
func TestImpossibleHead(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "v1", "head.json"))
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*state.Head){
		"seq 0":           func(h *state.Head) { h.Seq = 0 },
		"no nonce":        func(h *state.Head) { h.Nonce = "" },
		"no lineage":      func(h *state.Head) { h.Lineage = "" },
		"lease of nobody": func(h *state.Head) { h.Lease.Free, h.Lease.Run = false, "" },
		"lease for ever":  func(h *state.Head) { h.Lease.Free, h.Lease.TTL = false, 0 },
		"record missing":  func(h *state.Head) { h.Audit.Inline = nil },
		"record twice":    func(h *state.Head) { h.Audit.Path = "runs/a/record" },
		"another record":  func(h *state.Head) { h.Audit.Inline = json.RawMessage(`{"format":1}`) },
		"hash missing":    func(h *state.Head) { h.Audit.Hash = "" },
		"ref out of here": func(h *state.Head) {
			h.Observed = &state.Ref{Path: "runs/../../etc/passwd", SHA256: strings.Repeat("0", 64)}
		},
		"ref to the head":  func(h *state.Head) { h.Observed = &state.Ref{Path: "head.json", SHA256: strings.Repeat("0", 64)} },
		"ref without hash": func(h *state.Head) { h.Apps["x"] = state.App{Inventory: &state.Ref{Path: "runs/a/b"}} },
	} {
		head, err := state.DecodeHead(bytes.TrimSpace(data))
		if err != nil {
			t.Fatal(err)
		}
		edit(&head)
		bad, err := state.EncodeHead(head)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := state.DecodeHead(bad); !errors.Is(err, state.ErrDamaged) {
			t.Errorf("%s: got %v, want ErrDamaged", name, err)
		}
	}
}

// bent gives data cut off at every byte, and with a bit of every byte flipped.
func bent(data []byte) map[string][]byte {
	all := map[string][]byte{}
	for n := range data {
		all[fmt.Sprintf("cut off at %d", n)] = data[:n]
		bad := bytes.Clone(data)
		bad[n] ^= 1 << (n % 7) // The eighth is no letter's.
		all[fmt.Sprintf("byte %d bent", n)] = bad
	}
	return all
}

// A damaged head is reported by whoever meets it, and nobody writes over it.
func TestNobodyWritesOverADamagedHead(t *testing.T) {
	for lease, prepare := range map[string]func(w *world) (attempts func(l *state.Ledger) map[string]error){
		"idle": func(w *world) func(*state.Ledger) map[string]error {
			base := w.changed(planned(w.t, w.open(nil, nil), "web"))
			return func(l *state.Ledger) map[string]error {
				_, loadErr := l.Load(w.t.Context())
				_, historyErr := l.History(w.t.Context(), 1)
				_, verifyErr := l.Verify(w.t.Context())
				_, _, appendErr := l.Append(w.t.Context(), base, record(state.Unchanged), 0, nil)
				_, claimErr := l.Claim(w.t.Context(), base, nil)
				return map[string]error{"Load": loadErr, "History": historyErr, "Verify": verifyErr, "Append": appendErr, "Claim": claimErr}
			}
		},
		"held": func(w *world) func(*state.Ledger) map[string]error {
			w.unchanged()
			holder := w.claim(w.open(nil, nil), nil)
			base := w.load()
			return func(l *state.Ledger) map[string]error {
				_, waitErr := l.Wait(w.t.Context(), base, 0)
				_, takeErr := l.TakeOver(w.t.Context(), state.Waited{End: state.Stale, Head: base}, nil)
				_, _, settleErr := holder.Settle(w.t.Context(), record(state.Changed), nil)
				return map[string]error{"Wait": waitErr, "TakeOver": takeErr, "Commit": holder.Commit(w.t.Context(), nil), "Settle": settleErr}
			}
		},
	} {
		t.Run(lease, func(t *testing.T) {
			synced(t, func(t *testing.T, w *world) {
				attempts := prepare(w)
				good := w.raw("head.json")
				heads := bent(good)
				heads["newer"] = bytes.Replace(good, []byte(`{"format":1,`), []byte(`{"format":2,"novel":true,`), 1)
				heads["edited"] = bytes.Replace(good, []byte(`"epoch":1`), []byte(`"epoch":7`), 1)
				heads["unknown field, wrong sum"] = bytes.Replace(good, []byte(`{"format":1,`), []byte(`{"format":1,"novel":true,`), 1)
				before := w.objects()
				for name, head := range heads {
					w.overwrite("head.json", head)
					for what, err := range attempts(w.open(nil, nil)) {
						if !typed(err) {
							t.Errorf("%s, %s: got %v, want ErrDamaged or ErrNewer", name, what, err)
						}
					}
					if got := w.raw("head.json"); !bytes.Equal(got, head) {
						t.Fatalf("%s: the head was overwritten by %s", name, got)
					}
				}
				// The record of the good head, under its number, is all that may be new.
				after := w.objects()
				for _, name := range []string{"head.json", "audit/00000000000000000001.json"} {
					delete(before, name)
					delete(after, name)
				}
				if diff := cmp.Diff(before, after); diff != "" {
					t.Errorf("objects before and after: want - got +\n%s", diff)
				}
				t.Logf("counts: damage: %d damaged heads of a ledger that is %s: nobody wrote over one", len(heads), lease)
			})
		})
	}
}

// A field of a newer Tidemark in a head of this format is not dropped silently.
func TestUnknownFieldIsNewer(t *testing.T) {
	unsummed := `{"format":1,"novel":true,"sum":""}`
	data := strings.Replace(unsummed, `"sum":""`, fmt.Sprintf(`"sum":"%s"`, sum([]byte(unsummed))), 1)
	if _, err := state.DecodeHead([]byte(data)); !errors.Is(err, state.ErrNewer) {
		t.Errorf("head: got %v, want ErrNewer", err)
	}
	if _, err := state.DecodeInventory([]byte(`{"format":1,"app":"a","members":[],"novel":1}`)); !errors.Is(err, state.ErrNewer) {
		t.Errorf("inventory: got %v, want ErrNewer", err)
	}
	if _, err := state.DecodeObservation([]byte(`{"format":2,"objects":{}}`)); !errors.Is(err, state.ErrNewer) {
		t.Errorf("observation: got %v, want ErrNewer", err)
	}
	// Records are read by everybody, and never written again.
	if got, err := state.DecodeRecord([]byte(`{"format":1,"seq":3,"novel":true}`)); err != nil || got.Seq != 3 {
		t.Errorf("record: got %+v, %v", got, err)
	}
}

// A head that was put back is found out before anything is written.
func TestRolledBack(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		first := w.unchanged()
		old := w.raw("head.json")
		w.unchanged()
		w.unchanged()
		newest := w.raw("head.json")

		for name, restore := range map[string]func(){
			"an old head": func() { w.overwrite("head.json", old) },
			"no head": func() {
				if err := w.store.Delete(t.Context(), "head.json"); err != nil {
					t.Fatal(err)
				}
			},
		} {
			restore()
			l := w.open(nil, nil)
			base := load(t, l)
			if base.Seq > first.Seq {
				t.Fatalf("%s: got seq %d", name, base.Seq)
			}
			_, _, appendErr := l.Append(t.Context(), base, record(state.Unchanged), 0, nil)
			_, claimErr := l.Claim(t.Context(), base, nil)
			for what, err := range map[string]error{"Append": appendErr, "Claim": claimErr, "CheckRolledBack": l.CheckRolledBack(t.Context(), base)} {
				if !errors.Is(err, state.ErrRolledBack) {
					t.Errorf("%s, %s: got %v, want ErrRolledBack", name, what, err)
				}
			}
			if base.Seq > 0 {
				chain, err := l.Verify(t.Context())
				if err != nil || len(chain.Findings) == 0 {
					t.Errorf("%s: Verify: got %v, %v, want a finding", name, chain, err)
				}
			}
		}

		// An old read is not an old head.
		w.overwrite("head.json", newest)
		l := w.open(nil, nil)
		if err := l.CheckRolledBack(t.Context(), first); err != nil {
			t.Errorf("a stale read: got %v, want nil", err)
		}
		if _, _, err := l.Append(t.Context(), first, record(state.Unchanged), 0, nil); err != nil {
			t.Errorf("Append on a stale read: %v", err)
		}
		w.verify(4)
	})
}

func TestBlobs(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		l := w.open(nil, nil)
		put := func(name, data string) state.Ref {
			t.Helper()
			ref, err := l.Put(t.Context(), name, []byte(data))
			if err != nil {
				t.Fatal(err)
			}
			return ref
		}
		one, two := put("plan-web", "one"), put("plan-web", "two")
		if again := put("plan-web", "one"); again != one || one.Path != "runs/"+l.Run()+"/plan-web" || two.Path != one.Path+"-2" || one.Run() != l.Run() {
			t.Errorf("got %v, %v, and %v for the first again", one, two, again)
		}
		if data, err := l.Read(t.Context(), two); err != nil || string(data) != "two" {
			t.Errorf("Read: got %q, %v", data, err)
		}
		for _, name := range []string{"", "a/b", "..", ".x", "a b"} {
			if _, err := l.Put(t.Context(), name, nil); err == nil {
				t.Errorf("Put %q: got nil, want an error", name)
			}
		}

		// Missing or altered is damage while the head names it, and else a reason
		// to read the head again.
		head := w.changed(func(h *state.Head) { h.Apps["web"] = state.App{Inventory: &one} })
		w.overwrite(two.Path, []byte("other"))
		if _, err := l.Read(t.Context(), two); !errors.Is(err, state.ErrRestart) {
			t.Errorf("altered, not named: got %v, want ErrRestart", err)
		}
		w.overwrite(one.Path, []byte("other"))
		if _, err := l.Read(t.Context(), *head.Apps["web"].Inventory); !errors.Is(err, state.ErrDamaged) {
			t.Errorf("altered: got %v, want ErrDamaged", err)
		}
		if err := w.store.Delete(t.Context(), one.Path); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Read(t.Context(), one); !errors.Is(err, state.ErrDamaged) {
			t.Errorf("missing: got %v, want ErrDamaged", err)
		}
		if _, err := l.Read(t.Context(), state.Ref{Path: "head.json", SHA256: one.SHA256}); !errors.Is(err, state.ErrDamaged) {
			t.Errorf("a path outside of runs: got %v, want ErrDamaged", err)
		}
	})
}

func TestVerifyFindsWhatIsWrong(t *testing.T) {
	name := func(seq int) string { return fmt.Sprintf("audit/%020d.json", seq) }
	const records = 40
	for what, test := range map[string]struct {
		break_ func(w *world) //nolint:revive // break is a keyword.
		want   []uint64
	}{
		"nothing": {func(*world) {}, nil},
		"missing": {func(w *world) {
			if err := w.store.Delete(w.t.Context(), name(20)); err != nil {
				w.t.Fatal(err)
			}
		}, []uint64{20}},
		"edited": {func(w *world) {
			w.overwrite(name(20), bytes.Replace(w.raw(name(20)), []byte("tide"), []byte("eve!"), 1))
		}, []uint64{20}},
		"swapped": {func(w *world) {
			a, b := w.raw(name(10)), w.raw(name(30))
			w.overwrite(name(10), b)
			w.overwrite(name(30), a)
		}, []uint64{30, 29, 10, 9}},
		"garbage":       {func(w *world) { w.overwrite(name(1), []byte("x")) }, []uint64{1}},
		"newer records": {func(w *world) { w.overwrite("audit/00000000000000000041.json", []byte("{}")) }, []uint64{41}},
	} {
		t.Run(what, func(t *testing.T) {
			synced(t, func(t *testing.T, w *world) {
				for range records {
					w.unchanged()
				}
				test.break_(w)
				chain, err := w.open(nil, nil).Verify(t.Context())
				if err != nil || chain.Records != records {
					t.Fatalf("got %d records, %v", chain.Records, err)
				}
				var got []uint64
				for _, finding := range chain.Findings {
					got = append(got, finding.Seq)
				}
				if fmt.Sprint(got) != fmt.Sprint(test.want) {
					t.Errorf("got findings %v, want them at %v", chain.Findings, test.want)
				}
			})
		})
	}
}

func TestHistory(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		l := w.open(nil, nil)
		if got, err := l.History(t.Context(), 5); err != nil || len(got) != 0 {
			t.Errorf("of nothing: got %v, %v", got, err)
		}
		for range 4 {
			w.unchanged()
		}
		for n, want := range map[int]string{0: "[]", 2: "[4 3]", 9: "[4 3 2 1]"} {
			got, err := l.History(t.Context(), n)
			seqs := []uint64{}
			for _, r := range got {
				seqs = append(seqs, r.Seq)
			}
			if err != nil || fmt.Sprint(seqs) != want {
				t.Errorf("newest %d: got %v, %v, want %s", n, seqs, err, want)
			}
		}
	})
}
