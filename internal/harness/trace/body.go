package trace

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"distlabs/labrpc"
)

// What a body may take in a trace. What is cut away is named by length and
// hash, so that two bodies that differ stay different.
const (
	maxString  = 256 // bytes of one string
	maxList    = 64  // elements of one slice, array or map
	maxNesting = 32
)

// encodeBody returns v as JSON for a person to read. It never fails and calls no method of v, and
// equal values give equal text: no address appears, and maps are sorted.
//
// encoding/json would not do: it refuses NaN and keys that are structs, shows
// bytes in base 64, and follows the tags of fields, whose Go names are what the student knows.
func encodeBody(v any) string {
	return string(appendValue(nil, reflect.ValueOf(v), 0))
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	timeType     = reflect.TypeFor[time.Time]()
	nodeType     = reflect.TypeFor[labrpc.NodeID]()
)

func appendValue(b []byte, v reflect.Value, depth int) []byte {
	if !v.IsValid() {
		return append(b, "null"...)
	}
	if depth > maxNesting {
		return append(b, `"…"`...)
	}
	switch v.Type() {
	case durationType:
		return appendText(b, time.Duration(v.Int()).String())
	case nodeType:
		return appendText(b, labrpc.NodeID(v.Int()).String())
	case timeType:
		if v.CanInterface() {
			return appendText(b, v.Interface().(time.Time).UTC().Format(time.RFC3339Nano))
		}
	}
	switch v.Kind() {
	case reflect.Bool:
		return strconv.AppendBool(b, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(b, v.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return strconv.AppendUint(b, v.Uint(), 10)
	case reflect.Float32, reflect.Float64:
		return appendFloat(b, v.Float())
	case reflect.String:
		return appendString(b, v.String())
	case reflect.Pointer, reflect.Interface:
		return appendValue(b, v.Elem(), depth+1)
	case reflect.Struct:
		return appendStruct(b, v, depth)
	case reflect.Slice, reflect.Array:
		return appendList(b, v, depth)
	case reflect.Map:
		return appendMap(b, v, depth)
	}
	return appendText(b, v.Type().String()) // a function or a channel cannot be sent
}

// appendText appends s as a JSON string, whole.
func appendText(b []byte, s string) []byte {
	plain := true
	for i := range len(s) {
		plain = plain && s[i] >= ' ' && s[i] < utf8.RuneSelf && s[i] != '"' && s[i] != '\\'
	}
	if plain {
		return append(append(append(b, '"'), s...), '"')
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(fmt.Sprintf("trace: encode a string: %v", err)) // a string has an encoding
	}
	return append(b, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
}

// appendString appends a string, or bytes as text where they are text, cut to maxString.
func appendString(b []byte, s string) []byte {
	if !utf8.ValidString(s) {
		return appendText(b, rest(fmt.Sprintf("0x%x", s[:min(len(s), maxString/2)]), s, maxString/2))
	}
	if len(s) <= maxString {
		return appendText(b, s)
	}
	end := maxString
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return appendText(b, rest(s[:end], s, maxString))
}

// rest appends to shown what of s is not shown, if s is longer than limit.
func rest(shown, s string, limit int) string {
	if len(s) <= limit {
		return shown
	}
	return fmt.Sprintf("%s… %d bytes #%x", shown, len(s), hashOf([]byte(s)))
}

func hashOf(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:4]
}

func appendFloat(b []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return appendText(b, strconv.FormatFloat(f, 'g', -1, 64))
	}
	return strconv.AppendFloat(b, f, 'g', -1, 64)
}

func appendStruct(b []byte, v reflect.Value, depth int) []byte {
	b = append(b, '{')
	for i := range v.NumField() {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, v.Type().Field(i).Name)
		b = append(b, ':')
		b = appendValue(b, v.Field(i), depth+1)
	}
	return append(b, '}')
}

func appendList(b []byte, v reflect.Value, depth int) []byte {
	if v.Kind() == reflect.Slice && v.IsNil() {
		return append(b, "null"...)
	}
	if v.Type().Elem().Kind() == reflect.Uint8 {
		return appendBytes(b, v, depth)
	}
	b = append(b, '[')
	for i := range min(v.Len(), maxList) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendValue(b, v.Index(i), depth+1)
	}
	if v.Len() > maxList {
		var tail []byte
		for i := maxList; i < v.Len(); i++ {
			tail = append(appendValue(tail, v.Index(i), depth+1), ',')
		}
		b = append(b, ',')
		b = appendText(b, fmt.Sprintf("… %d in all #%x", v.Len(), hashOf(tail)))
	}
	return append(b, ']')
}

// appendBytes appends bytes as text where they are text, as named fields where they are what labrpc.Marshal made of a struct
// or a map, and else in hexadecimal.
func appendBytes(b []byte, v reflect.Value, depth int) []byte {
	raw := make([]byte, v.Len())
	for i := range raw {
		raw[i] = byte(v.Index(i).Uint())
	}
	if bytes.ContainsFunc(raw, func(r rune) bool { return !unicode.IsPrint(r) }) {
		if inner, ok := decodeFields(raw); ok {
			return appendValue(b, reflect.ValueOf(inner), depth+1)
		}
		return appendText(b, rest(fmt.Sprintf("0x%x", raw[:min(len(raw), maxString/2)]), string(raw), maxString/2))
	}
	return appendString(b, string(raw))
}

// decodeFields returns what labrpc.Marshal has encoded, if it was a struct or a map. Other values are too short to tell them
// from bytes that happen to look so; here they must be, to the last bit, what the encoding of the result is.
func decodeFields(raw []byte) (any, bool) {
	const mapType = 5 // CBOR's major type (RFC 8949 §3.1)
	var inner any
	if len(raw) < 2 || raw[0]>>5 != mapType || labrpc.Unmarshal(raw, &inner) != nil {
		return nil, false
	}
	again, err := labrpc.Marshal(inner)
	return inner, err == nil && bytes.Equal(again, raw)
}

// appendMap appends a map as an object; a key that is no string is its own JSON, as a string.
func appendMap(b []byte, v reflect.Value, depth int) []byte {
	if v.IsNil() {
		return append(b, "null"...)
	}
	type entry struct {
		number     float64 // of a numeric key: they sort as numbers
		key, value []byte
	}
	var entries []entry
	for it := v.MapRange(); it.Next(); {
		e := entry{key: appendValue(nil, it.Key(), depth+1), value: appendValue(nil, it.Value(), depth+1)}
		switch k := it.Key(); {
		case k.CanInt():
			e.number = float64(k.Int())
		case k.CanUint():
			e.number = float64(k.Uint())
		}
		if e.key[0] != '"' {
			e.key = appendText(nil, string(e.key))
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(x, y entry) int {
		return cmp.Or(cmp.Compare(x.number, y.number), bytes.Compare(x.key, y.key), bytes.Compare(x.value, y.value))
	})
	b = append(b, '{')
	var tail []byte
	for i, e := range entries {
		if i >= maxList {
			tail = append(append(tail, e.key...), e.value...)
			continue
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, e.key...), ':'), e.value...)
	}
	if len(tail) > 0 {
		b = append(b, `,"…":`...)
		b = appendText(b, fmt.Sprintf("%d in all #%x", len(entries), hashOf(tail)))
	}
	return append(b, '}')
}
