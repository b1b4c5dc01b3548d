// Package state keeps what Tidemark put into a cluster: a Ledger in an object
// store, with one mutable Head, immutable blobs of runs, and a chain of audit
// Records.
//
// Its words: a Store holds named objects and moves them by conditional writes.
// The Head is the ledger's one mutable object: lock, fence, pointers and audit
// number in one. A Ref names a blob by path and SHA-256. A Tenure is the right
// to act, from Claim to Settle, for one Epoch. An Inventory lists what may exist
// in the cluster and is ours; an Observation is what was seen there last.
//
// Its laws: the conditional write decides, never the lock; a lost answer is
// unknown, never failed; only the holder writes the head while the lease is not
// free; every write of the head goes through one function; nothing is cleaned up
// on doubt; no value of a Secret and no digest of one is stored.
package state
