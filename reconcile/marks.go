package reconcile

import (
	"crypto/sha256"
	"encoding/hex"

	"tidemark.dev/tidemark/render/object"
)

// LedgerLabel gives the value of the label tidemark.dev/ledger for a lineage: a
// hash, since a label's value is short and the lineage tells outsiders nothing.
func LedgerLabel(lineage string) string {
	sum := sha256.Sum256([]byte(lineage))
	return hex.EncodeToString(sum[:16])
}

// mark gives an object with our marks on it.
func mark(o object.Object, ledger, app string) object.Object {
	return o.WithMetadata(
		map[string]string{object.LabelLedger: ledger, object.LabelApp: app},
		map[string]string{object.AnnotationID: o.ID.Mark()},
	)
}
