package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"filippo.io/age"

	"tidemark.dev/tidemark/cmd/internal/config"
)

// sealTo gives what encrypts the data of kept Secrets; nil leaves it out.
func sealTo(h config.History) (func([]byte) ([]byte, error), error) {
	recipients, err := h.Recipients()
	if err != nil || len(recipients) == 0 {
		return nil, err
	}
	return func(data []byte) ([]byte, error) {
		var out bytes.Buffer
		w, err := age.Encrypt(&out, recipients...)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(data); err != nil {
			return nil, err
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
		return out.Bytes(), nil
	}, nil
}

// unseal gives what decrypts it, by the identities of --age-identity; nil when none
// is given.
func (s *Session) unseal() (func([]byte) ([]byte, error), error) {
	if s.settings.AgeIdentity == "" {
		return nil, nil
	}
	text, err := os.ReadFile(s.settings.AgeIdentity)
	if err != nil {
		return nil, fmt.Errorf("read the age identity: %w", err)
	}
	identities, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil {
		return nil, &UsageError{Message: "the age identity cannot be read", Hint: "give a file as age-keygen writes it"}
	}
	return func(data []byte) ([]byte, error) {
		r, err := age.Decrypt(bytes.NewReader(data), identities...)
		if _, wrong := errors.AsType[*age.NoIdentityMatchError](err); wrong {
			return nil, errors.New("the age identity is none of those it was encrypted to")
		}
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	}, nil
}
