package state

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
)

// The sum stands last in a head, so that it can be checked over the exact bytes
// before anything in them is believed.
const (
	sumOpen  = `,"sum":"`
	sumClose = `"}`
	sumSize  = 64
)

// EncodeHead gives the bytes of a head, with its sum.
func EncodeHead(head Head) ([]byte, error) {
	head.Sum = ""
	unsummed, err := encode(head)
	if err != nil {
		return nil, fmt.Errorf("encode head: %w", err)
	}
	open := unsummed[:len(unsummed)-len(sumClose)]
	return fmt.Appendf(nil, "%s%s%s", open, hash(unsummed), sumClose), nil
}

// DecodeHead reads what EncodeHead gave. Anything else is ErrDamaged or
// ErrNewer.
func DecodeHead(data []byte) (Head, error) {
	var head Head
	for _, step := range []func() error{
		// The format comes first: a newer one may be summed in another way.
		func() error { return checkFormat(data) },
		func() error { return checkSum(data) },
		func() error { return decode(data, &head) },
		func() error { return head.check() },
	} {
		if err := step(); err != nil {
			return Head{}, fmt.Errorf("decode head: %w", err)
		}
	}
	return head, nil
}

// checkSum compares the sum of a head with its bytes.
func checkSum(data []byte) error {
	at := len(data) - len(sumClose) - sumSize
	if at < len(sumOpen) || !bytes.HasSuffix(data[:at], []byte(sumOpen)) || !bytes.HasSuffix(data, []byte(sumClose)) {
		return fmt.Errorf("%w: it does not end with its sum", ErrDamaged)
	}
	sum := string(data[at : at+sumSize])
	if sum != hash(append(bytes.Clone(data[:at]), sumClose...)) {
		return fmt.Errorf("%w: its sum is wrong", ErrDamaged)
	}
	return nil
}

// check refuses a head that no ledger could have written.
func (h Head) check() error {
	damaged := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
	}
	switch {
	case h.Seq == 0, h.Nonce == "", h.Lineage == "":
		return damaged("seq, nonce or lineage is missing")
	case !h.Lease.Free && (h.Lease.Run == "" || h.Lease.TTL <= 0):
		return damaged("a lease without a run or a TTL")
	case (h.Audit.Seq == 0) != (h.Audit.Hash == ""):
		return damaged("audit number %d with hash %q", h.Audit.Seq, h.Audit.Hash)
	case h.Audit.Seq > 0 && (h.Audit.Inline == nil) == (h.Audit.Path == ""):
		return damaged("record %d stands neither inline nor in a blob, or in both", h.Audit.Seq)
	case h.Audit.Inline != nil && hash(h.Audit.Inline) != h.Audit.Hash:
		return damaged("record %d does not have its hash", h.Audit.Seq)
	}
	for _, ref := range h.refs() {
		if err := ref.check(); err != nil {
			return damaged("%s", err)
		}
	}
	return nil
}

// check refuses a reference that does not lead to a blob of a run.
func (r Ref) check() error {
	rest, found := strings.CutPrefix(r.Path, runsPrefix)
	if err := CheckName(r.Path); err != nil || !found || !strings.Contains(rest, "/") {
		return fmt.Errorf("%q is not the path of a blob", r.Path)
	}
	if sum, err := hex.DecodeString(r.SHA256); err != nil || len(sum) != sumSize/2 {
		return fmt.Errorf("%q is not the hash of a blob", r.SHA256)
	}
	return nil
}
