package state

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// encode gives compact JSON: fields in their order, map keys sorted, nothing
// escaped for HTML, so that a record's bytes are the same alone and inside a head.
func encode(value any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// checkFormat tells a newer format apart before anything else is read, since its
// fields are unknown.
func checkFormat(data []byte) error {
	var written struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(data, &written); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	switch {
	case written.Format > Format:
		return fmt.Errorf("%w: it has format %d, this one reads up to %d", ErrNewer, written.Format, Format)
	case written.Format < 1:
		return fmt.Errorf("%w: it has no format", ErrDamaged)
	}
	return nil
}

// decode reads what encode gave. A field that this version does not know would
// be lost when the value is written again, so it is ErrNewer too.
func decode(data []byte, into any) error {
	if err := checkFormat(data); err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", ErrNewer, err)
	}
	return nil
}

// hash gives the SHA-256 of data in hexadecimal.
func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
