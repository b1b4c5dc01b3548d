package faults_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"

	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// head reads the ledger's head, and the inventory that it names for each app. A ledger that is not there yet has the
// zero head.
func (w *world) head(ctx context.Context) (state.Head, map[object.ID]bool, error) {
	content, err := w.store.content(ctx, w.name)
	if err != nil || content["head.json"] == nil {
		return state.Head{}, nil, err
	}
	return readHead(content["head.json"], func(name string) []byte { return content[name] })
}

func readHead(data []byte, blob func(name string) []byte) (state.Head, map[object.ID]bool, error) {
	head, err := state.DecodeHead(data)
	if err != nil {
		return state.Head{}, nil, err
	}
	owned := map[object.ID]bool{}
	for name, app := range head.Apps {
		if app.Inventory == nil {
			continue
		}
		data := blob(app.Inventory.Path)
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != app.Inventory.SHA256 {
			return head, nil, fmt.Errorf("the inventory of %s, %s, is not what the head says", name, app.Inventory.Path)
		}
		inventory, err := state.DecodeInventory(data)
		if err != nil {
			return head, nil, err
		}
		for _, m := range inventory.Members {
			owned[m.ID] = true
		}
	}
	return head, owned, nil
}

// invariants checks what must hold at any time at which nothing of Tidemark runs.
func (w *world) invariants(ctx context.Context) error {
	head, owned, err := w.head(ctx)
	if err != nil {
		return fmt.Errorf("read the ledger: %w", err)
	}
	var errs []error
	if head.Seq > 0 {
		live, err := w.ours(ctx, head.Lineage)
		if err != nil {
			return err
		}
		for id := range live {
			if !owned[id] {
				errs = append(errs, fmt.Errorf("%s is ours, and in no inventory of head %d", id, head.Seq))
			}
		}
	}
	return errors.Join(append(errs, w.untouched(ctx), w.chronicle(), w.silent(ctx))...)
}

// silent checks that no secret was said, stored, or left in a file.
func (w *world) silent(ctx context.Context) error {
	places, err := w.store.content(ctx, w.name)
	if err != nil {
		return err
	}
	left, err := files(w.dir)
	if err != nil {
		return err
	}
	for name, data := range left {
		if strings.HasPrefix(name, "tmp-") || strings.HasPrefix(name, "said-") {
			places["file "+name] = data
		}
	}
	var errs []error
	for name, data := range places {
		for _, secret := range append([]string{gitPassword, secretValue}, w.store.secrets...) {
			encoded := base64.StdEncoding.EncodeToString([]byte(secret))
			if bytes.Contains(data, []byte(secret)) || bytes.Contains(data, []byte(encoded)) {
				errs = append(errs, fmt.Errorf("%s holds %s", name, secret))
			}
		}
	}
	return errors.Join(errs...)
}

// chronicle reads the journal from its beginning and checks the order of things: the head moves in one line, only its
// holder moves it while the lease is not free, and every write to the cluster was committed before, by the same process
// under the same epoch, and says on what it rests. Of processes that run at once, it is not known who wrote the head; and
// one that is stopped between its look at the lease and its request sends that when it wakes, and must be refused.
func (w *world) chronicle() error {
	if w.proxies["store"] == nil {
		return nil // nobody saw the head move
	}
	type event struct {
		at      int
		passage *passage
	}
	var events []event
	for _, p := range w.journal.whole() {
		switch {
		case p.Server == "store" && p.Effect && p.Status/100 == 2:
			events = append(events, event{p.Answered, p})
		case p.Server == "cluster" && p.Effect:
			events = append(events, event{p.Came, p})
		}
	}
	slices.SortFunc(events, func(a, b event) int { return a.at - b.at })

	var errs []error
	complain := func(p *passage, format string, args ...any) {
		errs = append(errs, fmt.Errorf("process %d, %s: %s", p.Process, p, fmt.Sprintf(format, args...)))
	}
	blobs := map[string][]byte{}
	var head state.Head
	var owned map[object.ID]bool
	writer := 0 // the process that wrote the head last
	for _, e := range events {
		p := e.passage
		switch {
		case p.Server == "store" && p.Path == "head.json":
			next, inventory, err := readHead(written(p.Type, p.Sent.Bytes()), func(name string) []byte { return blobs[name] })
			if err != nil {
				complain(p, "%v", err)
				continue
			}
			for _, err := range follows(head, next, p.Process == writer || p.Process == 0) {
				complain(p, "%v", err)
			}
			head, owned, writer = next, inventory, p.Process
		case strings.HasPrefix(p.Path, "probe/"):
			// How the store keeps its conditions is tried by breaking them.
		case p.Server == "store":
			if blobs[p.Path] != nil {
				complain(p, "it is written for the second time")
			}
			blobs[p.Path] = bytes.Clone(written(p.Type, p.Sent.Bytes()))
		case p.Lease:
			// The witness, which is not of an app.
		case p.Belated && p.Status/100 == 2 && rests(p):
			complain(p, "its process is dead, another one has taken over, and it took effect")
		case p.Belated:
		case writer == 0 && p.Status/100 != 2:
		case head.Lease.Free || writer != p.Process && writer != 0:
			complain(p, "it is sent, but the lease is free or held by another (head %d, epoch %d)", head.Seq, head.Epoch)
		default:
			if id, known := w.subject(p); known && !owned[id] {
				complain(p, "%s is written, and in no inventory of head %d", id, head.Seq)
			}
			errs = append(errs, fenced(p))
		}
	}
	return errors.Join(errs...)
}

// follows says what is wrong with a head after another.
func follows(before, after state.Head, same bool) []error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(after.Seq == before.Seq+1, "head %d follows %d", after.Seq, before.Seq)
	if before.Seq == 0 {
		return errs
	}
	takes := after.Lease.Run != before.Lease.Run && !after.Lease.Free
	check(after.Lineage == before.Lineage, "the lineage changes from %s to %s", before.Lineage, after.Lineage)
	check(after.Epoch == before.Epoch || after.Epoch == before.Epoch+1 && takes, "epoch %d follows %d", after.Epoch, before.Epoch)
	check(after.Audit.Seq == before.Audit.Seq || after.Audit.Seq == before.Audit.Seq+1, "record %d follows %d", after.Audit.Seq, before.Audit.Seq)
	if !before.Lease.Free {
		check(same || takes && after.Epoch == before.Epoch+1, "run %s held the lease, and another process wrote the head", before.Lease.Run)
		check(same || slices.Contains(after.Lease.Interrupted, before.Lease.Run), "run %s was taken over, and is not named as interrupted", before.Lease.Run)
	}
	return errs
}

// subject gives the object that a write to the cluster is about.
func (w *world) subject(p *passage) (object.ID, bool) {
	for _, r := range resources {
		group := strings.ReplaceAll(r.group, "$W", w.name)
		parts := strings.Split(strings.TrimPrefix(p.Path, path.Dir(r.collection(w.name))+"/"), "/")
		switch {
		case r.global && len(parts) == 2 && parts[0] == r.plural:
			return object.ID{Group: group, Kind: r.kind, Name: parts[1]}, true
		case !r.global && len(parts) == 4 && parts[0] == "namespaces" && parts[2] == r.plural:
			return object.ID{Group: group, Kind: r.kind, Namespace: parts[1], Name: parts[3]}, true
		}
	}
	return object.ID{}, false
}

// fenced checks that an apply to an existing object, and every delete, rested on what its sender had seen.
func fenced(p *passage) error {
	existed := p.Method == http.MethodDelete || p.Method == http.MethodPatch && p.Status == http.StatusOK
	if p.Status/100 == 2 && existed && !rests(p) {
		return fmt.Errorf("%s: it is written without preconditions: %s", p, p.Sent.Bytes())
	}
	return nil
}

// rests says whether a write to the cluster carries UID and resourceVersion, as it must unless it is a create.
func rests(p *passage) bool {
	var body struct {
		Metadata      struct{ UID, ResourceVersion string }
		Preconditions struct{ UID, ResourceVersion string }
	}
	switch {
	case strings.HasPrefix(p.Type, "application/json-patch"):
		return bytes.Contains(p.Sent.Bytes(), []byte("/metadata/uid")) // one of its operations is a test of it
	case json.Unmarshal(p.Sent.Bytes(), &body) != nil:
		return false
	case p.Method == http.MethodDelete:
		return body.Preconditions.UID != "" && body.Preconditions.ResourceVersion != ""
	}
	return body.Metadata.UID != "" && body.Metadata.ResourceVersion != ""
}
