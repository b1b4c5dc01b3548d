package config

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
)

// Size is a number of bytes, written as Kubernetes writes quantities: "256Mi".
type Size int64

var sizeForm = regexp.MustCompile(`^([0-9]{1,18})(Ki|Mi|Gi|k|M|G)?$`)

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	units := map[string]int64{"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "k": 1e3, "M": 1e6, "G": 1e9}
	found := sizeForm.FindSubmatch(text)
	if found == nil {
		return fmt.Errorf("want a size such as 256Mi, not %q", text)
	}
	number, err := strconv.ParseInt(string(found[1]), 10, 64)
	unit := units[string(found[2])]
	if err != nil || number > math.MaxInt64/unit {
		return fmt.Errorf("the size %q is too large", text)
	}
	*s = Size(number * unit)
	return nil
}

// MarshalText gives the size as a number of bytes.
func (s Size) MarshalText() ([]byte, error) { return strconv.AppendInt(nil, int64(s), 10), nil }
