package labrpc

import (
	"fmt"

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
	decMode = must(cbor.DecOptions{DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden}.DecMode())
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
	b, err := encMode.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("labrpc: encode %T: %w", v, err)
	}
	return b, nil
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
