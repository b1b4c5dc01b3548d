package git

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// A pack stays in memory as it came: compressed. Its objects are indexed once,
// by inflating each in turn without keeping it, and inflated again when they
// are read. So what a hostile pack can make the reader hold is bounded by its
// length, not by what it inflates to; a few megabytes of directories aside, which
// are read at once. The index hashes every object itself: an
// object is only ever found under the name that its content has.
type pack struct {
	raw     []byte
	entries []packEntry
	byHash  map[plumbing.Hash]int
	// largest is how long an object may be to be inflated into memory.
	largest int64
	// lacking says that some objects, being too large, are not indexed;
	// tooLarge stands for their length.
	lacking  bool
	tooLarge int64
	// inflated is what all objects inflate to.
	inflated int64
	// trees holds the content of whole trees, by their place, up to keptTrees bytes:
	// each is read right after it was indexed.
	trees map[int][]byte
	kept  int64
}

// keptTrees bounds how much of a pack is kept inflated.
const keptTrees = 8 << 20

// packEntry is one object of a pack, whole or as a delta to another.
type packEntry struct {
	offset int64
	kind   plumbing.ObjectType // the object's own; invalid until its delta is resolved
	size   int64               // the object's own
	hash   plumbing.Hash       // zero until its delta is resolved
	base   int                 // the index of what a delta applies to; -1: none
}

// readPack reads a pack as it comes from the server. It looks at the number of
// objects before it reads on.
func readPack(r io.Reader, left *budget) ([]byte, error) {
	var raw bytes.Buffer
	if _, err := io.CopyN(&raw, r, 12); err != nil {
		return nil, err
	}
	_, count, err := packfile.NewScanner(bytes.NewReader(raw.Bytes())).Header()
	if err != nil {
		return nil, corrupt("pack: %w", err)
	}
	if int64(count) > left.objects {
		return nil, &LimitError{What: "pack", Limit: left.limits.Objects, Unit: "objects"}
	}
	if _, err := raw.ReadFrom(r); err != nil {
		return nil, err
	}
	return raw.Bytes(), nil
}

// openPack indexes a pack. With filtered, the server was asked to leave out
// files that are too large.
func openPack(ctx context.Context, raw []byte, left *budget, filtered bool) (*pack, error) {
	limits := left.limits
	p := &pack{raw: raw, byHash: map[plumbing.Hash]int{}, trees: map[int][]byte{}, largest: max(limits.FileBytes, minObject), lacking: filtered, tooLarge: limits.FileBytes + 1}
	waiting, err := p.scan(ctx, left)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, unreachable(errors.New("the pack breaks off"))
	}
	if err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	if err := p.resolveDeltas(ctx, waiting); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	return p, nil
}

// dependants says which deltas wait for which object, by its place in the pack
// or by its name.
type dependants struct {
	byIndex map[int][]int
	byHash  map[plumbing.Hash][]int
	left    int
}

// scan walks the pack once: whole objects are hashed, deltas noted.
func (p *pack) scan(ctx context.Context, left *budget) (*dependants, error) {
	scanner := packfile.NewScanner(bytes.NewReader(p.raw))
	_, count, err := scanner.Header()
	if err != nil {
		return nil, corrupt("%w", err)
	}
	// An object takes two bytes or more: the count is not trusted for more.
	p.entries = make([]packEntry, 0, min(int(count), len(p.raw)/2))
	byOffset := make(map[int64]int, cap(p.entries))
	waiting := &dependants{byIndex: map[int][]int{}, byHash: map[plumbing.Hash][]int{}}
	spend := func(n int64) error {
		if p.inflated += n; n < 0 || p.inflated < 0 || p.inflated > left.inflated {
			return &LimitError{What: "inflated pack", Limit: left.limits.InflatedBytes, Unit: "bytes"}
		}
		return nil
	}
	for i := range int(count) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		header, err := scanner.NextObjectHeader()
		if err != nil {
			return nil, scanError(err)
		}
		if err := spend(header.Length); err != nil {
			return nil, err
		}
		entry := packEntry{offset: header.Offset, kind: header.Type, size: header.Length, base: -1}
		byOffset[header.Offset] = i
		switch header.Type {
		case plumbing.CommitObject, plumbing.TreeObject, plumbing.BlobObject, plumbing.TagObject:
			hasher := plumbing.NewHasher(header.Type, header.Length)
			into, keep := io.Writer(hasher), p.keep(header)
			if keep != nil {
				into = io.MultiWriter(hasher, keep)
			}
			if n, _, err := scanner.NextObject(into); err != nil {
				return nil, scanError(err)
			} else if n != header.Length {
				return nil, corrupt("an object is shorter than it says")
			}
			if keep != nil {
				p.trees[i] = keep.Bytes()
			}
			entry.hash = hasher.Sum()
			p.byHash[entry.hash] = i
		case plumbing.OFSDeltaObject, plumbing.REFDeltaObject:
			var head bytes.Buffer
			if _, _, err := scanner.NextObject(&prefix{&head, 2 * binary.MaxVarintLen64}); err != nil {
				return nil, scanError(err)
			}
			if entry.size, err = deltaTarget(head.Bytes()); err != nil {
				return nil, err
			}
			if err := spend(entry.size); err != nil {
				return nil, err
			}
			entry.kind = plumbing.InvalidObject
			waiting.left++
			if header.Type == plumbing.REFDeltaObject {
				waiting.byHash[header.Reference] = append(waiting.byHash[header.Reference], i)
				break
			}
			base, ok := byOffset[header.OffsetReference]
			if !ok {
				return nil, corrupt("a delta applies to nothing")
			}
			waiting.byIndex[base] = append(waiting.byIndex[base], i)
		default:
			return nil, corrupt("an object is of no known kind")
		}
		p.entries = append(p.entries, entry)
	}
	if _, err := scanner.Checksum(); err != nil {
		return nil, scanError(err)
	}
	return waiting, nil
}

// keep gives where the content of an object is to be kept, nil for one that is
// not.
func (p *pack) keep(header *packfile.ObjectHeader) *bytes.Buffer {
	if header.Type != plumbing.TreeObject || header.Length > p.largest || p.kept+header.Length > keptTrees {
		return nil
	}
	p.kept += header.Length
	return bytes.NewBuffer(make([]byte, 0, header.Length))
}

func scanError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return corrupt("%w", err)
}

// deltaTarget reads from a delta's first bytes how long its result will be:
// two numbers, seven bits a byte, the lowest first (gitformat-pack(5)).
func deltaTarget(head []byte) (int64, error) {
	_, n := binary.Uvarint(head)
	if n <= 0 {
		return 0, corrupt("a delta is cut short")
	}
	size, n := binary.Uvarint(head[n:])
	if n <= 0 || size > 1<<62 {
		return 0, corrupt("a delta is cut short")
	}
	return int64(size), nil
}

// base is an object in memory, for as long as deltas wait for it.
type base struct {
	index   int
	content []byte
	waiting []int
}

// resolveDeltas finds the names of the objects that came as deltas. It keeps
// of each chain only what is still needed.
func (p *pack) resolveDeltas(ctx context.Context, waiting *dependants) error {
	var held int64
	var stack []*base
	push := func(index int, content []byte) error {
		hash := p.entries[index].hash
		next := append(waiting.byIndex[index], waiting.byHash[hash]...)
		delete(waiting.byIndex, index)
		delete(waiting.byHash, hash)
		if len(next) == 0 {
			return nil
		}
		if held += int64(len(content)); held > maxDeltaBytes {
			return &LimitError{What: "deltas", Limit: maxDeltaBytes, Unit: "bytes at once"}
		}
		stack = append(stack, &base{index, content, next})
		return nil
	}
	tooLarge := false
	for index, entry := range p.entries {
		if entry.kind == plumbing.InvalidObject || entry.base >= 0 ||
			len(waiting.byIndex[index]) == 0 && len(waiting.byHash[entry.hash]) == 0 {
			continue
		}
		if entry.size > p.largest {
			tooLarge = true
			continue
		}
		content, err := p.content(index)
		if err != nil {
			return err
		}
		if err := push(index, content); err != nil {
			return err
		}
		for len(stack) > 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			top := stack[len(stack)-1]
			child := top.waiting[len(top.waiting)-1]
			top.waiting = top.waiting[:len(top.waiting)-1]
			if len(top.waiting) == 0 {
				held -= int64(len(top.content))
				stack = stack[:len(stack)-1]
			}
			waiting.left--
			entry := &p.entries[child]
			entry.base = top.index
			if entry.size > p.largest {
				tooLarge = true
				continue
			}
			content, err := p.patch(child, top.content)
			if err != nil {
				return err
			}
			entry.kind = p.entries[top.index].kind
			entry.hash = plumbing.ComputeHash(entry.kind, content)
			p.byHash[entry.hash] = child
			if err := push(child, content); err != nil {
				return err
			}
		}
	}
	if waiting.left > 0 && !tooLarge {
		return corrupt("%d deltas apply to nothing", waiting.left)
	}
	p.lacking = p.lacking || tooLarge
	return nil
}

// inflate gives the bytes that the pack holds for an entry: an object, or a
// delta.
func (p *pack) inflate(index int) ([]byte, error) {
	if tree, kept := p.trees[index]; kept {
		return tree, nil
	}
	scanner := packfile.NewScanner(bytes.NewReader(p.raw))
	header, err := scanner.SeekObjectHeader(p.entries[index].offset)
	if err != nil {
		return nil, scanError(err)
	}
	if header.Length > p.largest {
		return nil, &LimitError{What: "object", Limit: p.largest, Unit: "bytes"}
	}
	out := bytes.NewBuffer(make([]byte, 0, header.Length))
	if _, _, err := scanner.NextObject(out); err != nil {
		return nil, scanError(err)
	}
	if int64(out.Len()) != header.Length {
		return nil, corrupt("an object is shorter than it says")
	}
	return out.Bytes(), nil
}

// patch applies the delta of an entry to its base.
func (p *pack) patch(index int, base []byte) ([]byte, error) {
	delta, err := p.inflate(index)
	if err != nil {
		return nil, err
	}
	content, err := packfile.PatchDelta(base, delta)
	if err != nil {
		return nil, corrupt("%w", err)
	}
	return content, nil
}

// content inflates an object with the whole chain below it.
func (p *pack) content(index int) ([]byte, error) {
	var chain []int
	for p.entries[index].base >= 0 {
		chain = append(chain, index)
		index = p.entries[index].base
	}
	content, err := p.inflate(index)
	if err != nil {
		return nil, err
	}
	for _, c := range slices.Backward(chain) {
		if content, err = p.patch(c, content); err != nil {
			return nil, err
		}
	}
	return content, nil
}

func (p *pack) has(hash plumbing.Hash) bool {
	_, ok := p.byHash[hash]
	return ok
}

func (p *pack) size(hash plumbing.Hash) (int64, error) {
	index, ok := p.byHash[hash]
	switch {
	case ok:
		return p.entries[index].size, nil
	case p.lacking:
		return p.tooLarge, nil
	}
	return 0, errLacking
}

func (p *pack) read(hash plumbing.Hash) (plumbing.ObjectType, []byte, error) {
	index, ok := p.byHash[hash]
	if !ok {
		return plumbing.InvalidObject, nil, errLacking
	}
	content, err := p.content(index)
	return p.entries[index].kind, content, err
}
