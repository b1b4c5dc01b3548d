package state_test

import (
	"bytes"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"tidemark.dev/tidemark/state"
)

func TestRunID(t *testing.T) {
	at := time.UnixMilli(1469918176385).UTC() // The time in the ULID specification's example.
	id, err := state.NewRunID(at, bytes.NewReader(make([]byte, 10)))
	if err != nil || id != "01ARYZ6S410000000000000000" {
		t.Errorf("got %s, %v", id, err)
	}
	if id, err := state.NewRunID(at, bytes.NewReader(bytes.Repeat([]byte{0xff}, 10))); err != nil || id != "01ARYZ6S41ZZZZZZZZZZZZZZZZ" {
		t.Errorf("all ones: got %s, %v", id, err)
	}
	if got, err := state.RunTime(id); err != nil || !got.Equal(at) {
		t.Errorf("RunTime: got %v, %v, want %v", got, err, at)
	}
	if _, err := state.NewRunID(at, strings.NewReader("short")); err == nil {
		t.Error("a source that ends: got nil, want an error")
	}
	for _, bad := range []string{"", "01ARYZ6S41", "01ARYZ6S4I0000000000000000"} {
		if _, err := state.RunTime(bad); err == nil {
			t.Errorf("RunTime(%q): got nil, want an error", bad)
		}
	}
	var ids []string
	for i := range 200 {
		id, err := state.NewRunID(at.Add(time.Duration(i)*time.Millisecond), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if err := state.CheckName(id); err != nil {
			t.Error(err)
		}
		ids = append(ids, id)
	}
	if !slices.IsSorted(ids) {
		t.Errorf("ids do not sort by time: %v", ids)
	}
}
