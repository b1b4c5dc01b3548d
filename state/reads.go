package state

import "fmt"

// Reads is what the last successful rendering of each app read of its
// repository: a cache, one per ledger, that may be lost without harm. A commit
// that changed nothing of it needs no new rendering.
type Reads struct {
	Format int `json:"format"`
	// Apps holds the apps by name. An app whose last run did not succeed is not
	// among them.
	Apps map[string]AppReads `json:"apps"`
}

// AppReads is what one app's rendering read.
type AppReads struct {
	// Rest is the digest over everything but the files that the rendering
	// depended on.
	Rest string `json:"rest"`
	// Questions are what was asked of the repository, and Answers is one digest
	// over what it answered: see source.Questions and source.Answers. The answers
	// themselves would tell of each file what it holds, of Secrets too.
	Questions []string `json:"questions"`
	Answers   string   `json:"answers"`
}

// Encode gives the bytes to store.
func (r Reads) Encode() ([]byte, error) {
	r.Format = Format
	if r.Apps == nil {
		r.Apps = map[string]AppReads{}
	}
	data, err := encode(r)
	if err != nil {
		return nil, fmt.Errorf("encode what was read: %w", err)
	}
	return data, nil
}

// DecodeReads reads what Encode gave. Anything else is ErrDamaged, or ErrNewer;
// the caller may then go on without it.
func DecodeReads(data []byte) (Reads, error) {
	var r Reads
	if err := decode(data, &r); err != nil {
		return Reads{}, fmt.Errorf("decode what was read: %w", err)
	}
	return r, nil
}
