package apply

// Witness is what the target cluster itself remembers of a ledger, so that a
// state that was lost or rolled back is not taken for a new one.
type Witness struct {
	// Lineage names the ledger, Epoch is the newest one that was about to write to
	// the cluster.
	Lineage string
	Epoch   uint64
	// Holder says to people who wrote it.
	Holder string
	// Version is that of the object in the cluster, empty when there is none yet.
	Version string
}
