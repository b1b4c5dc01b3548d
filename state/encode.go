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

// firstFormat is how everything of format 1 begins, which saves a look at the
// rest.
const firstFormat = `{"format":1,`

// checkFormat tells a newer format apart before anything else is read, since its
// fields are unknown.
func checkFormat(data []byte) error {
	if bytes.HasPrefix(data, []byte(firstFormat)) {
		return nil // whoever decodes it looks at what follows
	}
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
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	strict := decoder.Decode(into)
	if strict == nil && decoder.InputOffset() == int64(len(data)) {
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if strict != nil {
		return fmt.Errorf("%w: %w", ErrNewer, strict)
	}
	return nil // it ends with white space
}

// hash gives the SHA-256 of data in hexadecimal.
func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
