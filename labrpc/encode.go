package labrpc

import (
	"encoding"
	"fmt"
	"math/big"
	"reflect"
	"sync"

	"github.com/fxamacker/cbor/v2"
)

// The wire's bytes are CBOR in its core deterministic form (RFC 8949 §4.2.1):
// one value has one encoding, whatever the order of a map.
var (
	encMode = must(cbor.EncOptions{
		Sort: cbor.SortCoreDeterministic, ShortestFloat: cbor.ShortestFloat16,
		NaNConvert: cbor.NaNConvert7e00, InfConvert: cbor.InfConvertFloat16,
		IndefLength: cbor.IndefLengthForbidden, Time: cbor.TimeRFC3339NanoUTC,
	}.EncMode())
	// A Go string may hold any bytes, and does so when it is sent.
	decMode = must(cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, UTF8: cbor.UTF8DecodeInvalid,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Marshal returns the bytes of v: the same bytes for the same value, always.
// Use it for what goes to the [Disk] and for what is signed. It takes what may be
// sent: exported fields of plain types, slices, maps, pointers, times; anything
// else is an error.
func Marshal(v any) ([]byte, error) {
	if err := whole(reflect.TypeOf(v)); err != nil {
		return nil, fmt.Errorf("labrpc: encode %T: %w", v, err)
	}
	b, err := encMode.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("labrpc: encode %T: %w", v, err)
	}
	return b, nil
}

// wholeTypes caches what whole returns: reflect.Type → error, or nil.
var wholeTypes sync.Map

// whole returns an error that names a field which the encoding would leave out without a word.
func whole(t reflect.Type) error {
	if t == nil {
		return nil
	}
	if err, known := wholeTypes.Load(t); known {
		err, _ := err.(error)
		return err
	}
	err := lostField(t, t.String(), map[reflect.Type]bool{})
	wholeTypes.Store(t, err)
	return err
}

var (
	bigIntType      = reflect.TypeFor[big.Int]() // which cbor knows
	cborMarshaler   = reflect.TypeFor[cbor.Marshaler]()
	binaryMarshaler = reflect.TypeFor[encoding.BinaryMarshaler]()
)

// lostField looks for an unexported field in a type and all types that it is made of. name says where in the whole value t is.
func lostField(t reflect.Type, name string, seen map[reflect.Type]bool) error {
	if seen[t] || t == timeType || t == bigIntType || t.Implements(cborMarshaler) || t.Implements(binaryMarshaler) {
		return nil
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return lostField(t.Elem(), name, seen)
	case reflect.Map:
		if err := lostField(t.Key(), name, seen); err != nil {
			return err
		}
		return lostField(t.Elem(), name, seen)
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if f.Name == "_" || f.Tag.Get("cbor") == "-" {
				continue
			}
			if !f.IsExported() && !f.Anonymous {
				return fmt.Errorf("field %q of %s would be lost: only fields with a capital letter are encoded", f.Name, name)
			}
			if err := lostField(f.Type, name+"."+f.Name, seen); err != nil {
				return err
			}
		}
	}
	return nil
}

// diagnostic returns encoded data as text, the same for the same value (which fmt's is not: it prints addresses).
func diagnostic(data []byte) string {
	s, err := cbor.Diagnose(data)
	if err != nil {
		return fmt.Sprintf("%d bytes", len(data))
	}
	return s
}

// Unmarshal sets *v to the value that data encodes. Data of another type, cut
// short or followed by more is an error.
func Unmarshal(data []byte, v any) error {
	if err := decMode.Unmarshal(data, v); err != nil {
		return fmt.Errorf("labrpc: decode %T from %d bytes: %w", v, len(data), err)
	}
	return nil
}
