package object

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
)

// jsonable turns what the YAML decoder gives into what JSON can hold, by the
// rules of sigs.k8s.io/yaml: keys become strings, whole numbers int64.
func jsonable(value any) (any, error) {
	switch v := value.(type) {
	case nil, bool, string, int64:
		return v, nil
	case int:
		return int64(v), nil
	case uint64:
		return float64(v), nil
	case float64:
		return number(v)
	case time.Time:
		return v.Format(time.RFC3339Nano), nil
	case []any:
		for i := range v {
			item, err := jsonable(v[i])
			if err != nil {
				return nil, err
			}
			v[i] = item
		}
		return v, nil
	case map[any]any:
		return jsonableMap(v)
	default:
		return nil, fmt.Errorf("holds a value that JSON cannot hold (%T)", v)
	}
}

func jsonableMap(mapping map[any]any) (map[string]any, error) {
	converted := make(map[string]any, len(mapping))
	for k, v := range mapping {
		key, err := keyString(k)
		if err != nil {
			return nil, err
		}
		if _, twice := converted[key]; twice {
			return nil, fmt.Errorf("key %q is given twice in one mapping", key)
		}
		if converted[key], err = jsonable(v); err != nil {
			return nil, err
		}
	}
	return converted, nil
}

// number gives a float as the JSON decoder of Kubernetes would read it back:
// 1.0 is written 1, and so becomes an integer.
func number(f float64) (any, error) {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return nil, errors.New("holds a number that JSON cannot hold (.nan or .inf)")
	case f == math.Trunc(f) && math.Abs(f) < 1<<53:
		return int64(f), nil
	default:
		return f, nil
	}
}

func keyString(key any) (string, error) {
	switch k := key.(type) {
	case string:
		return k, nil
	case bool:
		return strconv.FormatBool(k), nil
	case int:
		return strconv.Itoa(k), nil
	case int64:
		return strconv.FormatInt(k, 10), nil
	case float64:
		// 32 bits: the key of a float is cut as sigs.k8s.io/yaml cuts it.
		return strconv.FormatFloat(k, 'g', -1, 32), nil
	case nil:
		return "", errors.New("holds a mapping with a null key")
	default:
		return "", fmt.Errorf("holds a mapping with a key that JSON cannot hold (%T)", key)
	}
}

// maxDepth bounds how deep JSON may be nested, as encoding/json does.
const maxDepth = 10_000

// errDepth and errTwice are errors of a text that is JSON nevertheless.
var errDepth = fmt.Errorf("is nested more than %d deep", maxDepth)

type twiceError struct{ key string }

func (e twiceError) Error() string { return fmt.Sprintf("key %q is given twice in one mapping", e.key) }

// decodeJSON reads JSON values one after the other, and says whether the text
// is JSON at all.
func decodeJSON(data []byte) (documents []document, isJSON bool) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	for {
		value, err := jsonValue(decoder, 0)
		var twice twiceError
		switch {
		case err == nil:
			documents = append(documents, document{value: value})
		case errors.Is(err, io.EOF):
			return documents, true
		default:
			line := 1 + bytes.Count(data[:decoder.InputOffset()], []byte("\n"))
			documents = append(documents, document{err: fmt.Errorf("line %d: %w", line, err)})
			return documents, errors.As(err, &twice) || errors.Is(err, errDepth)
		}
	}
}

// jsonValue reads the next value. At the end of the text it gives io.EOF; in
// the middle of a value io.ErrUnexpectedEOF.
func jsonValue(decoder *json.Decoder, depth int) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		if depth > 0 && errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		if depth >= maxDepth {
			return nil, errDepth
		}
		if t == '{' {
			return jsonMap(decoder, depth)
		}
		return jsonList(decoder, depth)
	case json.Number:
		if i, err := t.Int64(); err == nil {
			return i, nil
		}
		f, err := t.Float64()
		if err != nil {
			return nil, errors.New("holds a number that is too large")
		}
		return f, nil
	default:
		return t, nil
	}
}

func jsonMap(decoder *json.Decoder, depth int) (any, error) {
	mapping := map[string]any{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		key, _ := token.(string)
		if _, twice := mapping[key]; twice {
			return nil, twiceError{key}
		}
		if mapping[key], err = jsonValue(decoder, depth+1); err != nil {
			return nil, err
		}
	}
	return mapping, closing(decoder)
}

func jsonList(decoder *json.Decoder, depth int) (any, error) {
	list := []any{}
	for decoder.More() {
		value, err := jsonValue(decoder, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	return list, closing(decoder)
}

// closing reads the bracket that ends a mapping or a list.
func closing(decoder *json.Decoder) error {
	_, err := decoder.Token()
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
