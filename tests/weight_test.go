package tests

import (
	"debug/buildinfo"
	"debug/elf"
	"os"
	"runtime"
	"strings"
	"testing"

	"tidemark.dev/tidemark/tests/binary"
)

// heaviest is how many bytes the shipped binary may weigh. To raise it, write a decision record.
const heaviest = 76_000_000

func TestWeight(t *testing.T) {
	info, err := os.Stat(shipped(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.1f MB", float64(info.Size())/1e6)
	if info.Size() > heaviest {
		t.Errorf("the binary weighs %d bytes, more than %d", info.Size(), heaviest)
	}
}

func TestStatic(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("what is shipped is a Linux binary")
	}
	file, err := elf.Open(shipped(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for _, program := range file.Progs {
		if program.Type == elf.PT_INTERP {
			t.Error("the binary wants a dynamic linker")
		}
	}
	if file.Section(".symtab") != nil {
		t.Error("the binary is not stripped")
	}
}

func TestBuiltLean(t *testing.T) {
	info, err := buildinfo.ReadFile(shipped(t))
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if got := settings["CGO_ENABLED"]; got != "0" {
		t.Errorf("CGO_ENABLED: got %q, want 0", got)
	}
	if got := settings["-trimpath"]; got != "true" {
		t.Errorf("-trimpath: got %q, want true", got)
	}
	for tag := range strings.SplitSeq(binary.Tags, ",") {
		if !strings.Contains(settings["-tags"], tag) {
			t.Errorf("-tags: got %q, want %s in it", settings["-tags"], tag)
		}
	}
}

// shipped is the path of the binary as users get it.
func shipped(t *testing.T) string {
	t.Helper()
	path, err := binary.Path()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
