package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// protobufMagic begins every protobuf answer of an API server; what follows is
// a k8s.io.apimachinery.pkg.runtime.Unknown.
//
// https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
const protobufMagic = "k8s\x00"

// protobuf reads metadata in protobuf. It picks what is needed of a list
// straight from the answer, since whoever decodes all of it spends more on what is
// thrown away. The numbers of the fields are those of generated.proto of
// apimachinery's pkg/runtime and pkg/apis/meta/v1, which cannot change.
type protobuf struct {
	// words holds texts that come again with every object: keys, managers.
	words map[string]string
	// times holds how JSON writes a time in seconds.
	times map[int64]string
}

func newProtobuf() *protobuf {
	return &protobuf{words: map[string]string{}, times: map[int64]string{}}
}

// list gives the kind of a list and the token for its next page, and add each
// object, whose managed fields stand in the body itself.
func (p *protobuf) list(body []byte, add func(*metadata) error) (kind, next string, err error) {
	enveloped, ok := bytes.CutPrefix(body, []byte(protobufMagic))
	if !ok {
		return "", "", errors.New("it is not protobuf of Kubernetes")
	}
	var list []byte
	err = fields(enveloped, func(number int, _ int64, value []byte) error {
		switch number {
		case 1: // TypeMeta
			return fields(value, func(number int, _ int64, value []byte) error {
				if number == 2 {
					kind = string(value)
				}
				return nil
			})
		case 2:
			list = value
		}
		return nil
	})
	if err != nil {
		return "", "", err
	}
	whole := false
	err = fields(list, func(number int, _ int64, value []byte) error {
		switch number {
		case 1: // ListMeta
			whole = true
			return fields(value, func(number int, _ int64, value []byte) error {
				if number == 3 {
					next = string(value)
				}
				return nil
			})
		case 2: // PartialObjectMetadata
			return fields(value, func(number int, _ int64, value []byte) error {
				if number != 1 {
					return nil
				}
				var m metadata
				if err := p.metadata(&m, value); err != nil {
					return err
				}
				return add(&m)
			})
		}
		return nil
	})
	if err == nil && !whole {
		// The server leaves it out of no list, and with it nothing may be missing.
		err = errors.New("its own metadata is missing")
	}
	return kind, next, err
}

// object reads the metadata of one object.
func (p *protobuf) object(m *metadata, body []byte) error {
	return fields(body[len(protobufMagic):], func(number int, _ int64, value []byte) error {
		if number != 2 { // the object itself
			return nil
		}
		return fields(value, func(number int, _ int64, value []byte) error {
			if number != 1 {
				return nil
			}
			return p.metadata(m, value)
		})
	})
}

// metadata reads an ObjectMeta.
func (p *protobuf) metadata(m *metadata, message []byte) error {
	return fields(message, func(number int, integer int64, value []byte) error {
		switch number {
		case 1:
			m.Name = string(value)
		case 3:
			m.Namespace = p.word(value)
		case 5:
			m.UID = string(value)
		case 6:
			m.ResourceVersion = string(value)
		case 7:
			m.Generation = integer
		case 9:
			return p.time(&m.DeletionTimestamp, value)
		case 11:
			return p.pair(&m.Labels, value)
		case 12:
			return p.pair(&m.Annotations, value)
		case 13:
			m.OwnerReferences = append(m.OwnerReferences, ownerReference{})
			return p.owner(&m.OwnerReferences[len(m.OwnerReferences)-1], value)
		case 14:
			m.Finalizers = append(m.Finalizers, p.word(value))
		case 17:
			m.ManagedFields = append(m.ManagedFields, managed{})
			return p.managed(&m.ManagedFields[len(m.ManagedFields)-1], value)
		}
		return nil
	})
}

// pair reads an entry of a map.
func (p *protobuf) pair(into *map[string]string, message []byte) error {
	var key, text string
	err := fields(message, func(number int, _ int64, value []byte) error {
		switch number {
		case 1:
			key = p.word(value)
		case 2:
			text = string(value)
		}
		return nil
	})
	if *into == nil {
		*into = map[string]string{}
	}
	(*into)[key] = text
	return err
}

// owner reads an OwnerReference.
func (p *protobuf) owner(o *ownerReference, message []byte) error {
	return fields(message, func(number int, integer int64, value []byte) error {
		switch number {
		case 1:
			o.Kind = p.word(value)
		case 3:
			o.Name = string(value)
		case 6:
			o.Controller = integer != 0
		}
		return nil
	})
}

// managed reads a ManagedFieldsEntry.
func (p *protobuf) managed(e *managed, message []byte) error {
	return fields(message, func(number int, _ int64, value []byte) error {
		switch number {
		case 1:
			e.Manager = p.word(value)
		case 2:
			e.Operation = p.word(value)
		case 3:
			e.APIVersion = p.word(value)
		case 4:
			return p.time(&e.Time, value)
		case 7:
			return fields(value, func(number int, _ int64, value []byte) error {
				if number == 1 {
					e.FieldsV1 = value
				}
				return nil
			})
		case 8:
			e.Subresource = p.word(value)
		}
		return nil
	})
}

// time reads a Time as JSON has it; an empty one is none.
func (p *protobuf) time(into *string, message []byte) error {
	if len(message) == 0 {
		return nil
	}
	var seconds int64
	err := fields(message, func(number int, integer int64, _ []byte) error {
		if number == 1 {
			seconds = integer
		}
		return nil
	})
	text, known := p.times[seconds]
	if !known {
		text = time.Unix(seconds, 0).UTC().Format(time.RFC3339)
		p.times[seconds] = text
	}
	*into = text
	return err
}

func (p *protobuf) word(value []byte) string {
	word, known := p.words[string(value)]
	if !known {
		word = string(value)
		p.words[word] = word
	}
	return word
}

// fields gives the fields of a message to take: the value of a number, the bytes
// of all else.
func fields(message []byte, take func(number int, integer int64, value []byte) error) error {
	for len(message) > 0 {
		number, wire, n := protowire.ConsumeTag(message)
		if n < 0 {
			return fmt.Errorf("read protobuf: %w", protowire.ParseError(n))
		}
		message = message[n:]
		var integer uint64
		var value []byte
		switch wire { //nolint:exhaustive // nothing else is needed
		case protowire.VarintType:
			integer, n = protowire.ConsumeVarint(message)
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(number, wire, message)
		}
		if n < 0 {
			return fmt.Errorf("read protobuf: %w", protowire.ParseError(n))
		}
		message = message[n:]
		// An int64 is sent as the bits of a uint64.
		if err := take(int(number), int64(integer), value); err != nil { //nolint:gosec // as the comment says
			return err
		}
	}
	return nil
}
