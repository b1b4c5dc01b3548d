package state

import (
	"fmt"
	"io"
	"strings"
	"time"
)

const nameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

// CheckName refuses a name that a Store need not accept: it must be a path of
// letters, digits, '.', '_' and '-', without empty segments and without ones that
// begin with a dot.
func CheckName(name string) error {
	if len(name) > 512 {
		return fmt.Errorf("name %.40q… is longer than 512 bytes", name)
	}
	for segment := range strings.SplitSeq(name, "/") {
		if segment == "" || segment[0] == '.' || strings.Trim(segment, nameLetters) != "" {
			return fmt.Errorf("name %q is not a path of letters, digits, '.', '_' and '-'", name)
		}
	}
	return nil
}

// auditName gives where a record stands in the chain.
func auditName(seq uint64) string { return fmt.Sprintf("%s%020d.json", auditPrefix, seq) }

const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// NewRunID draws the id of a run, a ULID (github.com/ulid/spec): 48 bits of
// milliseconds and 80 random bits in Crockford's base 32, so that ids sort by
// time.
func NewRunID(now time.Time, random io.Reader) (string, error) {
	var bits [16]byte
	millis := uint64(now.UnixMilli())
	for i := range 6 {
		bits[i] = byte(millis >> (8 * (5 - i))) //nolint:gosec // One byte of it is wanted.
	}
	if _, err := io.ReadFull(random, bits[6:]); err != nil {
		return "", fmt.Errorf("draw the id of a run: %w", err)
	}
	// 26 digits of 5 bits hold 130 bits: the first digit holds only three.
	id := make([]byte, 26)
	for i := range id {
		var digit byte
		for bit := 5*i - 2; bit < 5*i+3; bit++ {
			digit <<= 1
			if bit >= 0 {
				digit |= bits[bit/8] >> (7 - bit%8) & 1
			}
		}
		id[i] = crockford[digit]
	}
	return string(id), nil
}

// RunTime gives when the id of a run was drawn.
func RunTime(id string) (time.Time, error) {
	if len(id) != 26 {
		return time.Time{}, fmt.Errorf("%q is not the id of a run", id)
	}
	var millis int64
	for _, letter := range id[:10] {
		digit := strings.IndexRune(crockford, letter)
		if digit < 0 {
			return time.Time{}, fmt.Errorf("%q is not the id of a run", id)
		}
		millis = millis<<5 | int64(digit)
	}
	return time.UnixMilli(millis).UTC(), nil
}
