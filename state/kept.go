package state

import (
	"fmt"
	"time"
)

// Kept names a set that was applied in full, and was healthy where that is waited
// for. It is kept to go back to.
type Kept struct {
	// Digest begins the set's digest, far enough to tell the sets of an app apart.
	Digest string `json:"digest"`
	// Set is the StoredSet, and Rest the KeptSet.
	Set  Ref `json:"set"`
	Rest Ref `json:"rest"`
	// Sealed is set when the data of its Secrets is in it, encrypted: it begins the
	// digest of everything that was read for it, since that of the set does not tell
	// of their data.
	Sealed string `json:"sealed,omitempty"`
}

// keptDigits is how much of a set's digest a head repeats, which must stay small.
const keptDigits = 32

// KeptDigest gives the beginning of a set's digest that Kept holds.
func KeptDigest(digest string) string { return digest[:min(len(digest), keptDigits)] }

// KeptSet is what a StoredSet does not tell, and going back to it needs.
type KeptSet struct {
	Format int    `json:"format"`
	App    string `json:"app"`
	// Digest is that of the set, and Run the run that applied it first.
	Digest string    `json:"digest"`
	Run    string    `json:"run"`
	Since  time.Time `json:"since"`
	// Revision and Chart are what it was rendered from, by Engine.
	Revision *Revision `json:"revision,omitempty"`
	Chart    *Chart    `json:"chart,omitempty"`
	Engine   string    `json:"engine,omitempty"`
	// Inputs begins the digest of everything that it was rendered from and by.
	Inputs string `json:"inputs,omitempty"`
	// Varying are the fields that differ from one rendering to the next, as JSON
	// pointers, by the mark of their object, and Nondeterministic what to do with
	// them.
	Varying          map[string][]string `json:"varying,omitempty"`
	Nondeterministic string              `json:"nondeterministic,omitempty"`
	// Optional are the marks of objects that the configuration adds by itself.
	Optional []string `json:"optional,omitempty"`
	// Sealed is the data of the Secrets, encrypted; empty when it was left out.
	Sealed []byte `json:"sealed,omitempty"`
}

// Encode gives the bytes to store.
func (s KeptSet) Encode() ([]byte, error) {
	s.Format = Format
	data, err := encode(s)
	if err != nil {
		return nil, fmt.Errorf("encode the kept set of %s: %w", s.App, err)
	}
	return data, nil
}

// DecodeKeptSet reads what Encode gave. Anything else is ErrDamaged, or ErrNewer.
func DecodeKeptSet(data []byte) (KeptSet, error) {
	var set KeptSet
	if err := decode(data, &set); err != nil {
		return KeptSet{}, fmt.Errorf("decode kept set: %w", err)
	}
	return set, nil
}
