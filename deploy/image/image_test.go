package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

var tried = release{
	root: "../..", version: "v0.0.0-test+1", revision: "0123456789abcdef0123456789abcdef01234567",
	created: time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC),
}

// TestImage builds all platforms from a copy of the sources and looks at what came out; then again from another copy, in
// another folder, and compares.
func TestImage(t *testing.T) {
	first, second := tried, tried
	first.root, second.root = copied(t), copied(t)
	out := filepath.Join(t.TempDir(), "image")
	digest, err := first.build(t.Context(), out, []string{"amd64", "arm64"})
	if err != nil {
		t.Fatal(err)
	}
	images := imagesOf(t, filepath.Join(out, "oci"), digest)
	for _, arch := range []string{"amd64", "arm64"} {
		t.Run(arch, func(t *testing.T) { look(t, images[arch], out, arch) })
	}
	again, err := second.build(t.Context(), filepath.Join(t.TempDir(), "image"), []string{"amd64", "arm64"})
	if err != nil {
		t.Fatal(err)
	}
	if again != digest {
		t.Errorf("the same sources in two folders gave %s, and then %s", digest, again)
	}
}

// copied gives a copy of the sources: Go sees through links.
func copied(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "checkout")
	if said, err := exec.Command("sh", "-c", fmt.Sprintf(`cd ../.. && mkdir %[1]q && cp -r go.mod go.sum cmd reconcile render state %[1]q`, dir)).CombinedOutput(); err != nil {
		t.Fatalf("copy the sources: %v\n%s", err, said)
	}
	return dir
}

func imagesOf(t *testing.T, dir string, digest v1.Hash) map[string]v1.Image {
	t.Helper()
	top, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	index, err := top.ImageIndex(digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Errorf("the layout does not hold together: %v", err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	images := map[string]v1.Image{}
	for _, m := range manifest.Manifests {
		if images[m.Platform.Architecture], err = index.Image(m.Digest); err != nil {
			t.Fatal(err)
		}
	}
	return images
}

func look(t *testing.T, image v1.Image, out, arch string) {
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "65532:65532" || config.Architecture != arch || config.OS != "linux" || !slices.Equal(config.Config.Entrypoint, []string{"/tidemark"}) {
		t.Errorf("user %q, %s/%s, entry point %q", config.Config.User, config.OS, config.Architecture, config.Config.Entrypoint)
	}
	for label, want := range map[string]string{
		"version": tried.version, "revision": tried.revision, "created": "2026-01-02T15:04:05Z", "licenses": "Apache-2.0", "title": "tidemark",
	} {
		if got := config.Config.Labels["org.opencontainers.image."+label]; got != want {
			t.Errorf("label %s: got %q, want %q", label, got, want)
		}
	}

	files := filesOf(t, image)
	want := []string{"etc/group", "etc/passwd", "etc/ssl/certs/ca-certificates.crt", "tidemark", "usr/share/doc/tidemark/sbom.cdx.json"}
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	if !slices.Equal(names, want) {
		t.Errorf("files: got %q, want %q", names, want)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(files["etc/ssl/certs/ca-certificates.crt"]) || bytes.Count(files["etc/ssl/certs/ca-certificates.crt"], []byte("BEGIN")) < 100 {
		t.Error("the authorities are too few, or none")
	}

	program := filepath.Join(t.TempDir(), "tidemark")
	if err := os.WriteFile(program, files["tidemark"], 0o755); err != nil {
		t.Fatal(err)
	}
	isStatic(t, program, arch)
	billed(t, files["usr/share/doc/tidemark/sbom.cdx.json"], program)
	runs(t, program, arch)

	archived, err := tarball.ImageFromPath(filepath.Join(out, "tidemark-"+arch+".tar"), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := partial.Descriptor(archived)
	if err != nil {
		t.Fatal(err)
	}
	inLayout, err1 := image.ConfigName()
	inArchive, err2 := archived.ConfigName()
	if err := errors.Join(err1, err2); err != nil || inLayout != inArchive {
		t.Errorf("the archive holds another image than the layout: %s (%s), not %s: %v", inArchive, got.Digest, inLayout, err)
	}
}

func filesOf(t *testing.T, image v1.Image) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	stream := mutate.Extract(image)
	defer stream.Close()
	for archive := tar.NewReader(stream); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Uid != 0 || header.Gid != 0 || header.Mode&0o022 != 0 {
			t.Errorf("%s can be written by others than root: %o, %d:%d", header.Name, header.Mode, header.Uid, header.Gid)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if files[header.Name], err = io.ReadAll(archive); err != nil {
			t.Fatal(err)
		}
	}
}

func isStatic(t *testing.T, program, arch string) {
	t.Helper()
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if file.Machine != machines[arch] {
		t.Errorf("the program is for %s, not %s", file.Machine, machines[arch])
	}
	for _, part := range file.Progs {
		if part.Type == elf.PT_INTERP {
			t.Error("the program wants a dynamic linker, and the image has none")
		}
	}
}

// billed holds the bill of materials against what the program itself says.
func billed(t *testing.T, bill []byte, program string) {
	t.Helper()
	var document struct {
		BOMFormat, SpecVersion string
		Components             []struct{ PURL string }
	}
	if err := json.Unmarshal(bill, &document); err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	billed := map[string]bool{}
	for _, c := range document.Components {
		billed[c.PURL] = true
	}
	if document.BOMFormat != "CycloneDX" || len(billed) != len(info.Deps)+1 {
		t.Errorf("%s bills %d components, and the program holds %d modules and Go's own", document.BOMFormat, len(billed), len(info.Deps))
	}
	for _, m := range info.Deps {
		if want := "pkg:golang/" + m.Path + "@" + strings.ReplaceAll(m.Version, "+", "%2B"); !billed[want] {
			t.Errorf("%s is in the program, and not on its bill", want)
		}
	}
}

// runs starts the program; one of another platform by qemu-user, where that is there.
func runs(t *testing.T, program, arch string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, "version")
	if host, err := exec.Command("go", "env", "GOHOSTARCH").Output(); err != nil || strings.TrimSpace(string(host)) != arch {
		qemu := ""
		for _, name := range []string{"aarch64", "x86_64"} {
			if path, err := exec.LookPath("qemu-" + name + "-static"); err == nil && (name == "aarch64") == (arch == "arm64") {
				qemu = path
			}
		}
		if qemu == "" {
			t.Skipf("no qemu-user for %s on this machine (Debian: qemu-user-static): the program was looked at, and not run", arch)
		}
		cmd = exec.CommandContext(t.Context(), qemu, program, "version")
	}
	said, err := cmd.CombinedOutput()
	if want := "tidemark " + tried.version + " ("; err != nil || !strings.HasPrefix(string(said), want) || !strings.Contains(string(said), "linux/"+arch) {
		t.Errorf("%s: %v: got %q, want %q and its platform", cmd, err, said, want)
	}
}
