package git

import (
	"errors"
	"fmt"
	"io"
)

// Limits bound what a repository can make the reader hold or do. A field that
// is zero has its default; there is no way to have none.
type Limits struct {
	// PackBytes is the most that is read from the server for one commit, in
	// however many packs; default 256 MiB. The transfer stops there.
	PackBytes int64
	// Objects is the most objects of a commit's packs, known from their first
	// bytes, and the most entries of a tree, with all directories and
	// submodules; default 250,000.
	Objects int64
	// FileBytes is the largest file that can be read; default 16 MiB. A
	// larger file does no harm until it is read; where the server can leave
	// it out, it does not even travel.
	FileBytes int64
	// InflatedBytes is the most that all objects of a commit's packs together
	// may inflate to; default 4 GiB. They are not held, but the work is bounded.
	InflatedBytes int64
}

func (l Limits) withDefaults() Limits {
	fallback := func(field *int64, value int64) {
		if *field <= 0 {
			*field = value
		}
	}
	fallback(&l.PackBytes, 256<<20)
	fallback(&l.Objects, 250_000)
	fallback(&l.FileBytes, 16<<20)
	fallback(&l.InflatedBytes, 4<<30)
	return l
}

// budget is what may still come of one commit, in however many packs.
type budget struct {
	limits                       Limits
	packBytes, objects, inflated int64
}

func newBudget(l Limits) *budget {
	return &budget{limits: l, packBytes: l.PackBytes, objects: l.Objects, inflated: l.InflatedBytes}
}

// charge takes off what a pack took.
func (b *budget) charge(p *pack) {
	b.packBytes -= int64(len(p.raw))
	b.objects -= int64(len(p.entries))
	b.inflated -= p.inflated
}

// Bounds that nobody needs to set.
const (
	// maxAdvert bounds the list of refs; 64 MiB are some 800,000 of them.
	maxAdvert = 64 << 20
	// minObject is what any one object may take in memory, however small
	// FileBytes is: directories and commits are objects too.
	minObject = 8 << 20
	// maxDeltaBytes bounds what waits in memory while deltas are resolved.
	maxDeltaBytes = 512 << 20
	// maxPath and maxLink bound a path in a tree and a link's target, as
	// Linux does; maxName one part of it.
	maxPath, maxLink, maxName = 4096, 4096, 255
	// maxSaid bounds what a server's own words may take, in runes.
	maxSaid = 300
)

// capped fails a read beyond a limit, so that a transfer stops there. Reading
// exactly as much as is allowed is no failure. It remembers how the stream
// below it ended, because decoders above it lose that.
type capped struct {
	r     io.Reader
	left  int64
	limit *LimitError
	ended bool
	broke error
}

// newCapped leaves so many bytes of a limit to be read.
func newCapped(r io.Reader, left, limit int64, what string) *capped {
	return &capped{r: r, left: left, limit: &LimitError{What: what, Limit: limit, Unit: "bytes"}}
}

func (c *capped) Read(p []byte) (int, error) {
	if c.left < 0 {
		return 0, c.limit
	}
	if int64(len(p)) > c.left+1 {
		p = p[:c.left+1]
	}
	n, err := c.r.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		c.ended = true
	case err != nil:
		c.broke = err
	}
	if c.left -= int64(n); c.left < 0 {
		return n - 1, c.limit
	}
	return n, err
}

// why gives what the stream itself has to say about a failure, if anything:
// its limit was passed, or it broke.
func (c *capped) why() error {
	switch {
	case c.left < 0:
		return c.limit
	case c.broke != nil:
		return unreachable(fmt.Errorf("%w any more: %w", ErrUnreachable, c.broke))
	}
	return nil
}
