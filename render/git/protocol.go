package git

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
)

// The messages are those of version 0 of git's protocol (gitprotocol-pack(5)),
// which every server speaks; go-git has the codecs. Its own transports are not
// used: the one for ssh reads ~/.ssh/config, asks an agent, obeys ALL_PROXY
// and cannot be stopped while it connects, and the one for http follows
// redirects to other hosts and reads error pages without a bound.

const userAgent = "git/2 (tidemark)"

// server is one way to reach a repository. Its methods are called one at a time,
// but for close.
type server interface {
	// lookUp asks for the refs.
	lookUp(ctx context.Context) (*advert, error)
	// fetch gets what is asked for, within what is left of the budget, which is
	// charged if it comes.
	fetch(ctx context.Context, known *advert, a ask, left *budget) (objects, error)
	// close lets go of connections that are kept for what may come next.
	close()
}

// ask is what is wanted of a server.
type ask struct {
	wants []plumbing.Hash
	// depth says that commits are wanted, with so many generations of commits
	// (1: no ancestors) and all their trees and files. With 0 files and
	// directories are wanted, with all that is below these.
	depth int
	// bare leaves out the files below what is wanted, if the server can do that.
	bare bool
	// all leaves out nothing, whatever the server can do.
	all bool
	// log leaves out everything but the commits, if the server can do that.
	log bool
	// have is a commit whose history need not come.
	have plumbing.Hash
	// levels leaves out the directories of a bare commit below so many levels,
	// the first of which is its root; with 0 none.
	levels int
}

// objects gives the content of what was fetched. It is safe for concurrent use.
type objects interface {
	has(plumbing.Hash) bool
	// size gives the length of an object. Of a file that was left out because
	// it is too large it gives a length that is too large.
	size(plumbing.Hash) (int64, error)
	// read gives the kind and the content of an object that is not too large.
	read(plumbing.Hash) (plumbing.ObjectType, []byte, error)
}

// errLacking: the object is not among those that were fetched.
var errLacking = errors.New("the object is missing")

// decodeAdvert reads the list of refs.
func decodeAdvert(r io.Reader) (*advert, error) {
	wire := newCapped(r, maxAdvert, maxAdvert, "list of refs")
	var head bytes.Buffer
	refs := packp.NewAdvRefs()
	err := refs.Decode(io.TeeReader(wire, &prefix{&head, 4096}))
	var said *pktline.ErrorLine
	switch {
	case bytes.Contains(head.Bytes(), []byte("object-format=sha256")):
		return nil, invalid("the repository uses SHA-256 object names, which are not supported")
	case err == nil:
	case wire.why() != nil:
		return nil, wire.why()
	case errors.Is(err, packp.ErrEmptyAdvRefs):
		return newAdvert(), nil
	case errors.Is(err, packp.ErrEmptyInput):
		return nil, errNoAdvert
	case errors.As(err, &said):
		return nil, &caseError{is: ErrNotFound, err: saidError(said.Text)}
	case wire.ended:
		return nil, unreachable(errors.New("the list of refs breaks off"))
	default:
		return nil, corrupt("list of refs: %s", printable(err.Error(), maxSaid))
	}
	a := newAdvert()
	a.refs, a.peeled, a.caps = refs.References, refs.Peeled, refs.Capabilities
	if refs.Head != nil {
		a.head = *refs.Head
	}
	for _, pair := range refs.Capabilities.Get(capability.SymRef) {
		if name, target, ok := strings.Cut(pair, ":"); ok && name == headName {
			a.headRef = target
		}
	}
	return a, nil
}

// errNoAdvert: the server said nothing at all.
var errNoAdvert = unreachable(errors.New("the server closed the connection without a word"))

// prefix keeps the first bytes written to it.
type prefix struct {
	*bytes.Buffer
	limit int
}

func (p *prefix) Write(b []byte) (int, error) {
	if room := p.limit - p.Len(); room > 0 {
		p.Buffer.Write(b[:min(room, len(b))])
	}
	return len(b), nil
}

// serverSaid carries a server's own words; those who know the credentials
// redact them.
type serverSaid struct{ text string }

func (e *serverSaid) Error() string { return "the server says: " + e.text }

func saidError(text string) error { return &serverSaid{printable(text, maxSaid)} }

// request makes the message that asks for a pack.
func request(known *advert, a ask, limits Limits) (*packp.UploadPackRequest, []byte, error) {
	req := packp.NewUploadPackRequest()
	for _, c := range []capability.Capability{capability.OFSDelta, capability.NoProgress} {
		if known.supports(c) {
			if err := req.Capabilities.Set(c); err != nil {
				return nil, nil, err
			}
		}
	}
	for _, c := range []capability.Capability{capability.Sideband64k, capability.Sideband} {
		if known.supports(c) {
			if err := req.Capabilities.Set(c); err != nil {
				return nil, nil, err
			}
			break
		}
	}
	if known.supports(capability.Agent) {
		if err := req.Capabilities.Set(capability.Agent, "git/2-tidemark"); err != nil {
			return nil, nil, err
		}
	}
	if a.depth > 0 {
		if !known.supports(capability.Shallow) {
			return nil, nil, invalid("the server cannot give one commit without its history (it lacks %q)", capability.Shallow)
		}
		if err := req.Capabilities.Set(capability.Shallow); err != nil {
			return nil, nil, err
		}
	}
	if known.supports(capability.Filter) {
		if err := req.Capabilities.Set(capability.Filter); err != nil {
			return nil, nil, err
		}
		req.Filter = filter(a, limits)
	}
	req.Wants, req.Depth = a.wants, packp.DepthCommits(a.depth)
	if err := req.Validate(); err != nil {
		return nil, nil, err
	}
	var message bytes.Buffer
	if err := req.UploadRequest.Encode(&message); err != nil {
		return nil, nil, err
	}
	if !a.have.IsZero() {
		req.Haves = []plumbing.Hash{a.have}
		if err := req.UploadHaves.Encode(&message, false); err != nil {
			return nil, nil, err
		}
	}
	if err := pktline.NewEncoder(&message).EncodeString("done\n"); err != nil {
		return nil, nil, err
	}
	return req, message.Bytes(), nil
}

// filter says what the server is to leave out; with "" nothing. What is wanted by
// its own hash comes whatever the filter says.
func filter(a ask, limits Limits) packp.Filter {
	switch {
	case a.all:
		return ""
	case a.log:
		return packp.FilterTreeDepth(0)
	case a.levels > 0:
		// Of the levels alone the server would send the files too.
		return packp.FilterCombine(packp.FilterTreeDepth(uint64(a.levels)), packp.FilterBlobNone())
	case a.bare:
		return packp.FilterBlobNone()
	case a.depth > 0:
		// It leaves out files of that length and above.
		return packp.FilterBlobLimit(uint64(limits.FileBytes)+1, packp.BlobLimitPrefixNone) //nolint:gosec // A limit is above 0.
	}
	return ""
}

// receive reads the answer to a request: the pack. It stops reading as soon as
// a limit is passed.
func receive(ctx context.Context, stream io.Reader, req *packp.UploadPackRequest, left *budget) (*pack, error) {
	wire := newCapped(stream, left.packBytes, left.limits.PackBytes, "pack")
	answer := packp.NewUploadPackResponse(req)
	if err := answer.Decode(io.NopCloser(wire)); err != nil {
		return nil, answerError(wire, err)
	}
	var body io.Reader = answer
	switch {
	case req.Capabilities.Supports(capability.Sideband64k):
		body = sideband.NewDemuxer(sideband.Sideband64k, answer)
	case req.Capabilities.Supports(capability.Sideband):
		body = sideband.NewDemuxer(sideband.Sideband, answer)
	}
	raw, err := readPack(body, left)
	if err != nil {
		return nil, answerError(wire, err)
	}
	p, err := openPack(ctx, raw, left, strings.HasPrefix(string(req.Filter), "blob:limit="))
	if err != nil {
		return nil, err
	}
	left.charge(p)
	return p, nil
}

// answerError tells a refusal from a broken line.
func answerError(wire *capped, err error) error {
	var said *pktline.ErrorLine
	switch {
	case wire.why() != nil:
		return wire.why()
	case errors.As(err, &said):
		return &caseError{is: ErrCommitRefused, err: saidError(said.Text)}
	case errors.Is(err, ErrLimit), errors.Is(err, ErrCorrupt), errors.Is(err, ErrUnreachable):
		return err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return unreachable(errors.New("the answer breaks off"))
	}
	return corrupt("answer: %s", printable(err.Error(), maxSaid))
}
