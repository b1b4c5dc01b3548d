package cluster

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// protobufMagic begins every protobuf answer of an API server; what follows is
// a k8s.io.apimachinery.pkg.runtime.Unknown.
//
// https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
const protobufMagic = "k8s\x00"

// protobuf reads metadata in protobuf. It picks what is needed of a list
// straight from the answer while it comes, since whoever decodes all of it spends
// more on what is thrown away. The numbers of the fields are those of generated.proto of
// apimachinery's pkg/runtime and pkg/apis/meta/v1, which cannot change.
type protobuf struct {
	// buffer holds the object that is read.
	buffer []byte
}

// The fields of an ObjectMeta that tell which object it is, and which version.
const (
	fieldName            = 1
	fieldNamespace       = 3
	fieldUID             = 5
	fieldResourceVersion = 6
)

// largest bounds one object's metadata, in bytes. Whole objects are smaller.
const largest = 64 << 20

// list reads a list object by object, as it comes, and gives its kind and the
// token for its next page; add gets the metadata of each object, which is
// good until it returns.
func (p *protobuf) list(body io.Reader, add func(message []byte) error) (kind, next string, err error) {
	r := bufio.NewReaderSize(body, 64<<10)
	magic := make([]byte, len(protobufMagic))
	if _, err := io.ReadFull(r, magic); err != nil || string(magic) != protobufMagic {
		return "", "", errors.New("it is not protobuf of Kubernetes")
	}
	whole := false
	for {
		number, size, _, err := head(r)
		switch {
		case errors.Is(err, io.EOF) && whole:
			return kind, next, nil
		case errors.Is(err, io.EOF):
			return "", "", io.ErrUnexpectedEOF
		case err != nil:
			return "", "", err
		case number == 2: // the list itself
			next, err = p.objects(r, size, add)
			whole = true
		default:
			var value []byte
			if value, err = p.value(r, size); err == nil && number == 1 { // TypeMeta
				kind, err = textOf(value, 2)
			}
		}
		if err != nil {
			return "", "", err
		}
	}
}

// objects reads a PartialObjectMetadataList of that size.
func (p *protobuf) objects(r *bufio.Reader, size int64, add func(message []byte) error) (next string, err error) {
	whole := false
	for size > 0 {
		number, length, read, err := head(r)
		if size -= read + length; err != nil || size < 0 {
			return "", cmp.Or(err, errors.New("an object is larger than its list"))
		}
		value, err := p.value(r, length)
		if err != nil {
			return "", err
		}
		switch number {
		case 1: // ListMeta
			whole = true
			next, err = textOf(value, 3)
		case 2: // PartialObjectMetadata
			err = fields(value, func(number int, _ int64, value []byte) error {
				if number != 1 {
					return nil
				}
				return add(value)
			})
		}
		if err != nil {
			return "", err
		}
	}
	if !whole {
		// The server leaves it out of no list, and without it something is missing.
		return "", errors.New("its own metadata is missing")
	}
	return next, nil
}

// head reads what stands before a field's value: its number and the size of the
// value. It gives how many bytes that took. Lists hold nothing but messages.
func head(r *bufio.Reader) (number int, size, read int64, err error) {
	tag, err := binary.ReadUvarint(r)
	if err != nil {
		return 0, 0, 0, err // io.EOF only before the first byte
	}
	field, wire := protowire.DecodeTag(tag)
	if wire != protowire.BytesType {
		return 0, 0, 0, errors.New("read protobuf: a list holds something else than messages")
	}
	length, err := binary.ReadUvarint(r)
	switch {
	case errors.Is(err, io.EOF):
		return 0, 0, 0, io.ErrUnexpectedEOF
	case err != nil:
		return 0, 0, 0, err
	case length > math.MaxInt32:
		return 0, 0, 0, errors.New("read protobuf: a message is too large")
	}
	return int(field), int64(length), int64(protowire.SizeVarint(tag) + protowire.SizeVarint(length)), nil
}

// value reads a field's value, which is good until the next one is read.
func (p *protobuf) value(r io.Reader, size int64) ([]byte, error) {
	if size > largest {
		return nil, errors.New("read protobuf: an object is too large")
	}
	p.buffer = slices.Grow(p.buffer[:0], int(size))[:size]
	if _, err := io.ReadFull(r, p.buffer); err != nil {
		return nil, fmt.Errorf("read protobuf: %w", io.ErrUnexpectedEOF)
	}
	return p.buffer, nil
}

// textOf gives one text of a message.
func textOf(message []byte, field int) (text string, err error) {
	err = fields(message, func(number int, _ int64, value []byte) error {
		if number == field {
			text = string(value)
		}
		return nil
	})
	return text, err
}

// readObject reads the metadata of one object.
func readObject(m *metadata, body []byte) error {
	return fields(body[len(protobufMagic):], func(number int, _ int64, value []byte) error {
		if number != 2 { // the object itself
			return nil
		}
		return fields(value, func(number int, _ int64, value []byte) error {
			if number != 1 {
				return nil
			}
			return readMetadata(m, value)
		})
	})
}

// readMetadata reads an ObjectMeta.
func readMetadata(m *metadata, message []byte) error {
	return fields(message, func(number int, integer int64, value []byte) error {
		switch number {
		case fieldName:
			m.Name = string(value)
		case fieldNamespace:
			m.Namespace = string(value)
		case fieldUID:
			m.UID = string(value)
		case fieldResourceVersion:
			m.ResourceVersion = string(value)
		case 7:
			m.Generation = integer
		case 9:
			return readTime(&m.DeletionTimestamp, value)
		case 11:
			return readPair(&m.Labels, value)
		case 12:
			return readPair(&m.Annotations, value)
		case 13:
			m.OwnerReferences = append(m.OwnerReferences, ownerReference{})
			return readOwner(&m.OwnerReferences[len(m.OwnerReferences)-1], value)
		case 14:
			m.Finalizers = append(m.Finalizers, string(value))
		case 17:
			m.ManagedFields = append(m.ManagedFields, managed{})
			return readManaged(&m.ManagedFields[len(m.ManagedFields)-1], value)
		}
		return nil
	})
}

// readPair reads an entry of a map.
func readPair(into *map[string]string, message []byte) error {
	var key, text string
	err := fields(message, func(number int, _ int64, value []byte) error {
		switch number {
		case 1:
			key = string(value)
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

// readOwner reads an OwnerReference.
func readOwner(o *ownerReference, message []byte) error {
	return fields(message, func(number int, integer int64, value []byte) error {
		switch number {
		case 1:
			o.Kind = string(value)
		case 3:
			o.Name = string(value)
		case 6:
			o.Controller = integer != 0
		}
		return nil
	})
}

// readManaged reads a ManagedFieldsEntry.
func readManaged(e *managed, message []byte) error {
	return fields(message, func(number int, _ int64, value []byte) error {
		switch number {
		case 1:
			e.Manager = string(value)
		case 2:
			e.Operation = string(value)
		case 3:
			e.APIVersion = string(value)
		case 4:
			return readTime(&e.Time, value)
		case 7:
			return fields(value, func(number int, _ int64, value []byte) error {
				if number == 1 {
					e.FieldsV1 = value
				}
				return nil
			})
		case 8:
			e.Subresource = string(value)
		}
		return nil
	})
}

// readTime reads a Time as JSON has it; an empty one is none.
func readTime(into *string, message []byte) error {
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
	*into = time.Unix(seconds, 0).UTC().Format(time.RFC3339)
	return err
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
