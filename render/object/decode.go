package object

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"unicode/utf8"
)

// Decode reads every Kubernetes object in a file of YAML or JSON, with any
// number of documents, in the order in which they stand there. The file is a
// path that errors and origins name. Documents that are empty or hold only
// comments are nothing; a List gives its items.
//
// Values mean what they mean to kubectl, which is YAML 1.1 as sigs.k8s.io/yaml
// has it: a plain yes is true, 0755 is 493, integers are int64 and all other
// numbers float64. A key that occurs twice in a mapping is refused.
//
// All errors of a file are given at once, joined; each names the file, the
// document where the file has several, and the line where the decoder knows
// it. A document that is not a Kubernetes object is ErrNotObject. When there is
// an error, the objects that could be read are given all the same: a caller
// that uses them must report the error.
func Decode(file string, data []byte) ([]Object, error) { return decode(file, data, true) }

// DecodeTemplate is Decode for what a chart's template gave: of a key that
// occurs twice in a mapping the last one wins, as Helm has it.
func DecodeTemplate(file string, data []byte) ([]Object, error) { return decode(file, data, false) }

func decode(file string, data []byte, strict bool) ([]Object, error) {
	data, err := text(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	documents := decodeStream(path.Ext(file) == ".json", data, strict)
	var objects []Object
	var errs []error
	for i, d := range documents {
		origin := Origin{File: file}
		if len(documents) > 1 {
			origin.Document = i + 1
		}
		found, err := d.objects(origin)
		objects = append(objects, found...)
		for _, e := range err {
			errs = append(errs, fmt.Errorf("%s: %w", origin, e))
		}
	}
	return objects, errors.Join(errs...)
}

// text refuses what is not UTF-8, and drops the mark that some editors put
// before it.
func text(data []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		return nil, errors.New("is UTF-16: save it as UTF-8")
	case !utf8.Valid(data):
		valid := 0
		for {
			r, size := utf8.DecodeRune(data[valid:])
			if r == utf8.RuneError && size <= 1 {
				break
			}
			valid += size
		}
		return nil, fmt.Errorf("line %d: is not UTF-8", 1+bytes.Count(data[:valid], []byte("\n")))
	case bytes.IndexByte(data, 0) >= 0:
		return nil, errors.New("holds a NUL byte: is it UTF-16, or no text at all?")
	}
	return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), nil
}

// document is one document of a stream: its value, nil for an empty one, or
// the reason why it could not be read.
type document struct {
	value any
	err   error
}

// decodeStream tells JSON from YAML as kubectl does, by the first character: a
// YAML flow mapping begins with a brace too, so what is no JSON is YAML, unless
// the file is named .json.
func decodeStream(named bool, data []byte, strict bool) []document {
	if first := bytes.TrimLeft(data, " \t\r\n"); len(first) > 0 && (first[0] == '{' || first[0] == '[') {
		documents, isJSON := decodeJSON(data)
		if isJSON || named {
			return documents
		}
	}
	return decodeYAML(data, strict)
}

// objects gives the objects of one document; the errors come without origin.
func (d document) objects(origin Origin) ([]Object, []error) {
	if d.err != nil {
		return nil, []error{d.err}
	}
	if d.value == nil {
		return nil, nil
	}
	content, ok := d.value.(map[string]any)
	if !ok {
		return nil, []error{fmt.Errorf("%w: it is %s, not a mapping", ErrNotObject, describe(d.value))}
	}
	if isList(content) {
		return listed(content, origin)
	}
	o, err := New(content, origin)
	if err != nil {
		return nil, []error{err}
	}
	return []Object{o}, nil
}

// describe names the type of a value for people.
func describe(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case map[string]any:
		return "a mapping"
	case []any:
		return "a list"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	default:
		return "a number"
	}
}
