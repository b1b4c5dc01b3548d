// Package fleet says which ledgers of a fleet belong to which shard.
//
// Its word: a Shard is one of several equal shares of a fleet, each taken by a
// process of its own.
//
// Its laws: each ledger belongs to exactly one shard of a count; only its name
// decides, so that all processes agree without asking each other; a further
// shard takes its share from the others and moves nothing else. Which shard a
// name belongs to never changes between versions, since processes of two
// versions may share a fleet. Nothing here keeps two processes apart that take
// the same ledger nevertheless: its lease does.
package fleet

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// Shard is the share Index, counted from 0, of Count.
type Shard struct{ Index, Count int }

// Whole is the share that leaves nothing to others.
var Whole = Shard{Index: 0, Count: 1} //nolint:gochecknoglobals // a constant

// most bounds the count: each ledger is weighed once for each shard.
const most = 10_000

// ParseShard reads "INDEX/COUNT", such as 0/3 for the first of three.
func ParseShard(text string) (Shard, error) {
	index, count, ok := strings.Cut(text, "/")
	i, errIndex := strconv.ParseUint(index, 10, 31)
	n, errCount := strconv.ParseUint(count, 10, 31)
	switch {
	case !ok || errIndex != nil || errCount != nil:
		return Shard{}, fmt.Errorf("%q is not INDEX/COUNT in decimal digits", text)
	case n == 0:
		return Shard{}, fmt.Errorf("%q: there is at least one shard", text)
	case n > most:
		return Shard{}, fmt.Errorf("%q: there are at most %d shards", text, most)
	case i >= n:
		return Shard{}, fmt.Errorf("%q: shards are counted from 0, so that the last of %d is %d", text, n, n-1)
	}
	return Shard{Index: int(i), Count: int(n)}, nil
}

// String gives the shard as ParseShard reads it.
func (s Shard) String() string { return fmt.Sprintf("%d/%d", s.Index, s.Count) }

// Has says whether the ledger of that name belongs to the shard: of all shards
// it is the one that weighs most for it (rendezvous hashing, Thaler and
// Ravishankar 1998).
func (s Shard) Has(ledger string) bool {
	own := weight(s.Index, ledger)
	for other := range s.Count {
		// Of equal weights, which are not to be expected, the lower index counts.
		if w := weight(other, ledger); w > own || w == own && other < s.Index {
			return false
		}
	}
	return true
}

// weight is the first eight bytes of SHA-256("INDEX/NAME").
func weight(shard int, ledger string) uint64 {
	sum := sha256.Sum256([]byte(strconv.Itoa(shard) + "/" + ledger))
	return binary.BigEndian.Uint64(sum[:8])
}
