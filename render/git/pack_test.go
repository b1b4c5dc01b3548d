package git_test

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tidemark.dev/tidemark/render/git"
)

// packObject is one entry of a pack that no git would write.
type packObject struct {
	kind  byte
	size  int    // what it claims
	ref   []byte // what stands before its data
	data  []byte
	plain bool // leave the data as it is
}

func makePack(claim int, objects ...packObject) []byte {
	var out bytes.Buffer
	out.WriteString("PACK\x00\x00\x00\x02")
	_ = binary.Write(&out, binary.BigEndian, uint32(claim))
	for _, o := range objects {
		first, rest := o.kind<<4|byte(o.size&15), o.size>>4
		for rest > 0 {
			out.WriteByte(first | 0x80)
			first, rest = byte(rest&0x7f), rest>>7
		}
		out.WriteByte(first)
		out.Write(o.ref)
		if o.plain {
			out.Write(o.data)
			continue
		}
		z := zlib.NewWriter(&out)
		_, _ = z.Write(o.data)
		_ = z.Close()
	}
	sum := sha1.Sum(out.Bytes())
	out.Write(sum[:])
	return out.Bytes()
}

func nameOf(kind, content string) []byte {
	sum := sha1.Sum(fmt.Appendf(nil, "%s %d\x00%s", kind, len(content), content))
	return sum[:]
}

// servePack answers as a git server would, with this pack, whatever is asked.
func servePack(t *testing.T, commit string, pack []byte) string {
	t.Helper()
	return servePackWith(t, commit, "", pack)
}

// servePackWith is servePack with more capabilities.
func servePackWith(t *testing.T, commit, capabilities string, pack []byte) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			fmt.Fprint(w, pkt("# service=git-upload-pack\n")+"0000"+pkt(commit+" refs/heads/main\x00shallow ofs-delta"+capabilities+"\n")+"0000")
			return
		}
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		fmt.Fprint(w, pkt("shallow "+commit)+"0000"+pkt("NAK\n"))
		_, _ = w.Write(pack)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/app.git"
}

func TestHostilePacks(t *testing.T) {
	const text = "a: 1\n"
	tree := "100644 a.yaml\x00" + string(nameOf("blob", text))
	body := fmt.Sprintf("tree %x\nauthor A <a@b> 0 +0000\ncommitter A <a@b> 0 +0000\n\nHi\n", nameOf("tree", tree))
	name := hex.EncodeToString(nameOf("commit", body))
	commit, root, blob := packObject{1, len(body), nil, []byte(body), false}, packObject{2, len(tree), nil, []byte(tree), false}, packObject{3, len(text), nil, []byte(text), false}
	whole := makePack(3, commit, root, blob)

	rev := mustPull(t, newRemote(t, git.Options{URL: servePack(t, name, whole)}), "main")
	if got, err := rev.Tree.ReadFile("a.yaml"); err != nil || string(got) != text {
		t.Fatalf("the pack that is right: got %q, %v", got, err)
	}

	// A server that leaves nothing out, although it says it can.
	remote := newRemote(t, git.Options{URL: servePackWith(t, name, " filter allow-reachable-sha1-in-want", whole)})
	rev = mustPull(t, remote, "main")
	if got, err := rev.Tree.ReadFile("a.yaml"); err != nil || string(got) != text || remote.Cost().Requests != 2 {
		t.Errorf("without a filter: got %q, %v, %+v", got, err, remote.Cost())
	}
	// One that sends something else than was asked for. What a filter leaves out
	// of a whole commit counts as too large.
	remote = newRemote(t, git.Options{URL: servePackWith(t, name, " filter allow-reachable-sha1-in-want", makePack(2, commit, root))})
	_, err := mustPull(t, remote, "main").Tree.ReadFile("a.yaml")
	wantError(t, err, git.ErrLimit, "a.yaml: ")

	// delta makes one that copies nothing and inserts the text.
	delta := func(from, to int, insert string) []byte {
		return append(append(binary.AppendUvarint(nil, uint64(from)), binary.AppendUvarint(nil, uint64(to))...), append([]byte{byte(len(insert))}, insert...)...)
	}
	base := packObject{3, 1, nil, []byte("x"), false}
	good := delta(1, len(text), text)
	deltaed := packObject{7, len(good), nameOf("blob", "x"), good, false}
	// The delta stands before its base; git allows it.
	rev = mustPull(t, newRemote(t, git.Options{URL: servePack(t, name, makePack(4, deltaed, commit, root, base))}), "main")
	if got, err := rev.Tree.ReadFile("a.yaml"); err != nil || string(got) != text {
		t.Fatalf("the delta that is right: got %q, %v", got, err)
	}

	huge := delta(1, 1<<40, text)
	liar := delta(1, 5000, text)
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-1] ^= 1
	for title, test := range map[string]struct {
		pack []byte
		is   error
	}{
		"nothing":                        {nil, git.ErrUnreachable},
		"cut":                            {whole[:len(whole)/2], git.ErrUnreachable},
		"only its head":                  {whole[:12], git.ErrUnreachable},
		"no pack":                        {[]byte(strings.Repeat("what is this?", 5)), git.ErrCorrupt},
		"a wrong checksum":               {flipped, git.ErrCorrupt},
		"a count of four thousand m.":    {makePack(1<<32-1, commit), git.ErrLimit},
		"a count too high":               {makePack(200_000, commit, root, blob), git.ErrCorrupt},
		"an object missing":              {makePack(2, commit, root), git.ErrCorrupt},
		"the commit missing":             {makePack(2, root, blob), git.ErrRefNotFound},
		"an object longer than it says":  {makePack(3, commit, root, packObject{3, 2, nil, []byte(text), false}), git.ErrCorrupt},
		"an object shorter than it says": {makePack(3, commit, root, packObject{3, 50, nil, []byte(text), false}), git.ErrCorrupt},
		"a claim of a petabyte":          {makePack(3, commit, root, packObject{3, 1 << 50, nil, []byte(text), false}), git.ErrLimit},
		"no zlib":                        {makePack(3, commit, root, packObject{3, 5, nil, []byte(text), true}), git.ErrCorrupt},
		"an unknown kind":                {makePack(3, commit, root, packObject{5, 5, nil, []byte(text), false}), git.ErrCorrupt},
		"a delta to nothing":             {makePack(3, commit, root, packObject{7, len(good), nameOf("blob", "y"), good, false}), git.ErrCorrupt},
		"a delta before the pack":        {makePack(3, packObject{6, len(good), []byte{0x7f}, good, false}, commit, root), git.ErrCorrupt},
		"a delta to a terabyte":          {makePack(4, commit, root, base, packObject{7, len(huge), nameOf("blob", "x"), huge, false}), git.ErrLimit},
		"a delta that lies":              {makePack(4, commit, root, base, packObject{7, len(liar), nameOf("blob", "x"), liar, false}), git.ErrCorrupt},
		"an empty delta":                 {makePack(4, commit, root, base, packObject{7, 0, nameOf("blob", "x"), nil, false}), git.ErrCorrupt},
	} {
		t.Run(title, func(t *testing.T) {
			_, err := pull(t, newRemote(t, git.Options{URL: servePack(t, name, test.pack)}), "main")
			wantError(t, err, test.is)
		})
	}

	// Another content under the same name is not that file: names are made
	// from contents here, whatever the server says.
	other := packObject{3, len(text), nil, []byte("a: 2\n"), false}
	_, err = pull(t, newRemote(t, git.Options{URL: servePack(t, name, makePack(3, commit, root, other))}), "main")
	wantError(t, err, git.ErrCorrupt, "a.yaml", "missing")
}

func FuzzPack(f *testing.F) {
	const text = "a: 1\n"
	tree := "100644 a.yaml\x00" + string(nameOf("blob", text))
	body := fmt.Sprintf("tree %x\nauthor A <a@b> 0 +0000\ncommitter A <a@b> 0 +0000\n\nHi\n", nameOf("tree", tree))
	name := hex.EncodeToString(nameOf("commit", body))
	commit, root, blob := packObject{1, len(body), nil, []byte(body), false}, packObject{2, len(tree), nil, []byte(tree), false}, packObject{3, len(text), nil, []byte(text), false}
	f.Add(makePack(3, commit, root, blob))
	good := append([]byte{1, byte(len(text)), byte(len(text))}, text...)
	f.Add(makePack(4, packObject{7, len(good), nameOf("blob", "x"), good, false}, commit, root, packObject{3, 1, nil, []byte("x"), false}))
	f.Fuzz(func(t *testing.T, pack []byte) {
		rev, err := pull(t, newRemote(t, git.Options{URL: servePack(t, name, pack), Limits: git.Limits{InflatedBytes: 1 << 24}}), "main")
		if err != nil {
			return
		}
		if got, err := rev.Tree.ReadFile("a.yaml"); err != nil || string(got) != text {
			t.Errorf("%q is served as %q, %v", pack, got, err)
		}
	})
}
