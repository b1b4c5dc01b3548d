package app

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"tidemark.dev/tidemark/cmd/internal/config"
)

func TestSealIsOpenedByItsKeyAlone(t *testing.T) {
	t.Parallel()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	seal, err := sealTo(config.History{AgeRecipients: []string{key.Recipient().String()}})
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := seal([]byte("canary"))
	if err != nil || bytes.Contains(sealed, []byte("canary")) {
		t.Fatalf("sealed to %q, %v", sealed, err)
	}
	open := func(identity string) ([]byte, error) {
		file := filepath.Join(t.TempDir(), "key.txt")
		if err := os.WriteFile(file, []byte(identity), 0o600); err != nil {
			t.Fatal(err)
		}
		unseal, err := (&Session{settings: Settings{AgeIdentity: file}}).unseal()
		if err != nil {
			t.Fatal(err)
		}
		return unseal(sealed)
	}
	if got, err := open(key.String()); err != nil || string(got) != "canary" {
		t.Errorf("opened to %q, %v, want canary", got, err)
	}
	if got, err := open(other.String()); err == nil || !strings.Contains(err.Error(), "none of those") {
		t.Errorf("another key opens it to %q, %v", got, err)
	}
}

func TestNothingIsSealedWithoutRecipients(t *testing.T) {
	t.Parallel()
	if seal, err := sealTo(config.History{}); seal != nil || err != nil {
		t.Errorf("got a seal, or %v", err)
	}
}
