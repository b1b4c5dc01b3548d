package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"
)

// localServer reads a repository on this machine where it lies: nothing is
// copied, nothing is run, nothing is written. Its work tree is not looked at,
// only what is committed.
type localServer struct {
	// mu guards the store, which is not safe for concurrent use.
	mu    sync.Mutex
	path  string
	limit int64
	store *filesystem.Storage
}

func newLocalServer(a address, o Options) *localServer {
	return &localServer{path: filepath.FromSlash(a.path), limit: max(o.Limits.FileBytes, minObject)}
}

// gitDir finds the repository's own directory, as git does: PATH/.git, which
// may be a file that names it, PATH itself if it is bare, or PATH.git.
func gitDir(path string) (string, error) {
	for _, dir := range []string{filepath.Join(path, ".git"), path, path + ".git", filepath.Join(path+".git", ".git")} {
		info, err := os.Stat(dir)
		switch {
		case errors.Is(err, fs.ErrPermission):
			return "", authf("%w: this user may not read it", ErrAuth)
		case err != nil:
			continue
		case info.IsDir() && isGitDir(dir):
			return dir, nil
		case info.Mode().IsRegular() && filepath.Base(dir) == ".git":
			return linkedGitDir(dir)
		}
	}
	return "", &caseError{is: ErrNotFound, err: ErrNotFound}
}

func isGitDir(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "HEAD"))
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(dir, "commondir"))
	if err == nil {
		return true
	}
	info, err := os.Stat(filepath.Join(dir, "objects"))
	return err == nil && info.IsDir()
}

// linkedGitDir follows the file .git of a submodule or a linked work tree.
func linkedGitDir(file string) (string, error) {
	dir, err := readShort(file)
	if err != nil {
		return "", err
	}
	dir, ok := strings.CutPrefix(dir, "gitdir: ")
	if !ok {
		return "", &caseError{is: ErrNotFound, err: fmt.Errorf("%w: its .git file names none", ErrNotFound)}
	}
	if dir = relativeTo(filepath.Dir(file), dir); !isGitDir(dir) {
		return "", &caseError{is: ErrNotFound, err: fmt.Errorf("%w: what its .git file names is none", ErrNotFound)}
	}
	return dir, nil
}

func relativeTo(base, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(base, path)
}

// readShort reads a file that holds one path.
func readShort(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxPath))
	return strings.TrimSpace(string(data)), err
}

func (s *localServer) open() error {
	if s.store != nil {
		return nil
	}
	dir, err := gitDir(s.path)
	if err != nil {
		return err
	}
	var files billy.Filesystem = osfs.New(dir)
	// A linked work tree has its own HEAD and shares the rest.
	if common, err := readShort(filepath.Join(dir, "commondir")); err == nil {
		files = dotgit.NewRepositoryFilesystem(files, osfs.New(relativeTo(dir, common)))
	}
	store := filesystem.NewStorageWithOptions(files, cache.NewObjectLRU(cache.DefaultMaxSize), filesystem.Options{
		AlternatesFS: osfs.New(string(filepath.Separator)),
		// Packs stay open between reads; the garbage collector closes them
		// with the store.
		MaxOpenDescriptors: 8,
	})
	config, err := store.Config()
	if err != nil {
		return corrupt("its config: %s", printable(err.Error(), maxSaid))
	}
	extensions := config.Raw.Section("extensions")
	if format := extensions.Option("objectformat"); format != "" && format != "sha1" {
		return invalid("the repository uses SHA-256 object names, which are not supported")
	}
	if format := extensions.Option("refstorage"); format != "" && format != "files" {
		return invalid("the repository keeps its refs in a %q, which is not supported", printable(format, 20))
	}
	s.store = store
	return nil
}

func (s *localServer) lookUp(ctx context.Context) (*advert, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(); err != nil {
		return nil, err
	}
	known := newAdvert()
	refs, err := s.store.IterReferences()
	if err != nil {
		return nil, fmt.Errorf("read the refs: %w", err)
	}
	links := map[string]string{}
	err = refs.ForEach(func(ref *plumbing.Reference) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := string(ref.Name())
		switch {
		case ref.Type() == plumbing.SymbolicReference:
			links[name] = string(ref.Target())
		case name == headName:
			known.head = ref.Hash()
		default:
			known.refs[name] = ref.Hash()
			if !strings.HasPrefix(name, tagPrefix) {
				break
			}
			if peeled := s.peel(ref.Hash()); peeled != ref.Hash() {
				known.peeled[name] = peeled
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the refs: %w", err)
	}
	for name, target := range links {
		if hash, ok := known.refs[target]; ok && name == headName {
			known.head, known.headRef = hash, target
		} else if ok {
			known.refs[name] = hash
		}
	}
	return known, nil
}

// maxTags bounds a chain of tags of tags.
const maxTags = 16

// peel follows an annotated tag to what it points to.
func (s *localServer) peel(hash plumbing.Hash) plumbing.Hash {
	for range maxTags {
		o, err := s.store.EncodedObject(plumbing.TagObject, hash)
		if err != nil {
			return hash
		}
		var tag object.Tag
		if err := tag.Decode(o); err != nil {
			return hash
		}
		hash = tag.Target
	}
	return hash
}

func (s *localServer) fetch(context.Context, *advert, ask, *budget) (objects, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *localServer) close() {}

func (s *localServer) has(hash plumbing.Hash) bool {
	_, err := s.size(hash)
	return err == nil
}

func (s *localServer) size(hash plumbing.Hash) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if size, err := s.store.EncodedObjectSize(hash); err == nil {
		return size, nil
	}
	// The store looks for lengths in the repository only, for objects also in
	// those it borrows from (objects/info/alternates).
	o, err := s.object(hash)
	if err != nil {
		return 0, err
	}
	return o.Size(), nil
}

func (s *localServer) object(hash plumbing.Hash) (plumbing.EncodedObject, error) {
	o, err := s.store.EncodedObject(plumbing.AnyObject, hash)
	switch {
	case errors.Is(err, plumbing.ErrObjectNotFound):
		return nil, errLacking
	case err != nil:
		return nil, corrupt("object %s: %s", hash, printable(err.Error(), maxSaid))
	}
	return o, nil
}

func (s *localServer) read(hash plumbing.Hash) (plumbing.ObjectType, []byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if size, err := s.store.EncodedObjectSize(hash); err == nil && size > s.limit {
		return plumbing.InvalidObject, nil, &LimitError{What: "object", Limit: s.limit, Unit: "bytes"}
	}
	o, err := s.object(hash)
	if err != nil {
		return plumbing.InvalidObject, nil, err
	}
	r, err := o.Reader()
	if err != nil {
		return plumbing.InvalidObject, nil, corrupt("object %s: %s", hash, printable(err.Error(), maxSaid))
	}
	defer func() { _ = r.Close() }()
	content, err := io.ReadAll(io.LimitReader(r, s.limit+1))
	if err != nil {
		return plumbing.InvalidObject, nil, corrupt("object %s: %s", hash, printable(err.Error(), maxSaid))
	}
	// A pack from a server is hashed as it is opened; this one never was.
	if plumbing.ComputeHash(o.Type(), content) != hash {
		return plumbing.InvalidObject, nil, corrupt("object %s has another content than its name says", hash)
	}
	return o.Type(), content, nil
}
