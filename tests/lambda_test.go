package tests

import (
	"archive/zip"
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// largest is what Lambda takes of a zip that is uploaded without a bucket.
const largest = 50_000_000

// A zip for Lambda holds one program called bootstrap, and the same one gives the same bytes.
func TestLambdaZip(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "some name")
	if err := os.WriteFile(program, []byte("\x7fELF and so on"), 0o600); err != nil {
		t.Fatal(err)
	}
	var archives [2][]byte
	for i := range archives {
		out := filepath.Join(dir, "out.zip")
		if said, err := exec.CommandContext(t.Context(), "go", "run", "./lambdazip", "-o", out, program).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		var err error
		if archives[i], err = os.ReadFile(out); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("two zips of one program differ")
	}
	if got := string(unzipped(t, archives[0])); got != "\x7fELF and so on" {
		t.Errorf("bootstrap holds %q", got)
	}
}

// What make lambda built is a static program for arm64.
func TestLambdaIsARM64(t *testing.T) {
	archive, err := os.ReadFile("../bin/tidemark-lambda.zip")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("bin/tidemark-lambda.zip is not there; make lambda builds it")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.1f MB", float64(len(archive))/1e6)
	if len(archive) > largest {
		t.Errorf("the zip weighs %d bytes, more than %d", len(archive), largest)
	}
	file, err := elf.NewFile(bytes.NewReader(unzipped(t, archive)))
	if err != nil {
		t.Fatal(err)
	}
	if file.Machine != elf.EM_AARCH64 {
		t.Errorf("bootstrap is for %s, not arm64", file.Machine)
	}
	for _, program := range file.Progs {
		if program.Type == elf.PT_INTERP {
			t.Error("bootstrap wants a dynamic linker")
		}
	}
}

// unzipped gives the one file of a zip for Lambda.
func unzipped(t *testing.T, archive []byte) []byte {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.File) != 1 || r.File[0].Name != "bootstrap" || r.File[0].Mode() != 0o755 {
		t.Fatalf("the zip holds %d files, the first of them %s with the mode %s; want bootstrap alone, -rwxr-xr-x", len(r.File), r.File[0].Name, r.File[0].Mode())
	}
	file, err := r.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(file)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	return data
}
