package state_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"tidemark.dev/tidemark/state"
)

// museum is how each kind of file in it is read: head.json, head-older.json, …
var museum = map[string]func(data []byte) error{
	"head":        func(data []byte) error { _, err := state.DecodeHead(data); return err },
	"inventory":   func(data []byte) error { _, err := state.DecodeInventory(data); return err },
	"observation": func(data []byte) error { _, err := state.DecodeObservation(data); return err },
	"reads":       func(data []byte) error { _, err := state.DecodeReads(data); return err },
	"set":         func(data []byte) error { _, err := state.DecodeSet(data); return err },
	"record":      func(data []byte) error { _, err := state.DecodeRecord(data); return err },
}

// pieces gives the museum's files by name, as they stand in a store.
func pieces(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "v*", "*"))
	if err != nil || len(files) < len(museum) {
		t.Fatalf("the museum holds %v, %v", files, err)
	}
	pieces := map[string][]byte{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pieces[file] = bytes.TrimSuffix(data, []byte("\n"))
	}
	return pieces
}

// kind gives what a piece is.
func kind(t *testing.T, file string) string {
	t.Helper()
	kind, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".json"), "-")
	if museum[kind] == nil {
		t.Fatalf("%s is of no kind that is known: name it head-….json, inventory-….json, observation-….json or record-….json", file)
	}
	return kind
}

// What older versions wrote stays readable; what newer ones will write is
// refused, and said.
func TestMuseum(t *testing.T) {
	for file, data := range pieces(t) {
		read := museum[kind(t, file)]
		if err := read(data); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		newer := bytes.Replace(data, []byte(`"format":1,`), fmt.Appendf(nil, `"format":%d,"novel":{"a":[1]},`, state.Format+1), 1)
		err := read(newer)
		want := fmt.Sprintf("written by a newer Tidemark: it has format %d, this one reads up to %d", state.Format+1, state.Format)
		if !errors.Is(err, state.ErrNewer) || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s of a newer format: got %v, want ErrNewer with %q", file, err, want)
		}
	}
}

// A field that the samples leave empty would be missing in the museum.
func TestSamplesUseEveryField(t *testing.T) {
	used := map[string]bool{}
	for _, sample := range []any{sampleHead([]byte("{}")), sampleInventory(), sampleObservation(), sampleReads(), sampleSet(), sampleRecord()} {
		use(reflect.ValueOf(sample), used)
	}
	for field, filled := range used {
		// Encoding fills two of them, and a record stands inline or in a blob.
		if !filled && field != "Head.Sum" && field != "Inventory.Format" && field != "Audit.Path" {
			t.Errorf("no sample fills %s", field)
		}
	}
}

// use notes of each stored field of our structs in a value whether it is filled.
func use(v reflect.Value, used map[string]bool) {
	switch v.Kind() {
	case reflect.Pointer:
		use(v.Elem(), used)
	case reflect.Slice:
		for i := range v.Len() {
			use(v.Index(i), used)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			use(v.MapIndex(key), used)
		}
	case reflect.Struct:
		if !strings.HasSuffix(v.Type().PkgPath(), "/state") {
			return
		}
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if field.Tag.Get("json") == "-" || !field.IsExported() {
				continue
			}
			name := v.Type().Name() + "." + field.Name
			used[name] = used[name] || !v.Field(i).IsZero()
			use(v.Field(i), used)
		}
	default:
	}
}
