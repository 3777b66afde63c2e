// Package marked has texts that a test finds again in whatever message carries them.
package marked

import (
	"bytes"
	"fmt"
	"reflect"
	"time"
)

// Text returns the text with a number, from 0 to 99999: it is seven bytes long.
func Text(n int) string { return fmt.Sprintf("<%05d>", n) }

// Short returns the text with a number that is as long as the number needs, for a run that a person reads.
func Short(n int) string { return fmt.Sprintf("<%d>", n) }

// Number returns the number of the text with which data begins, or -1 if it begins with none.
func Number(data []byte) int {
	end := bytes.IndexByte(data[:min(len(data), len("<99999>"))], '>')
	if end < 2 || data[0] != '<' {
		return -1
	}
	n := 0
	for _, digit := range data[1:end] {
		if digit < '0' || digit > '9' {
			return -1
		}
		n = 10*n + int(digit-'0')
	}
	return n
}

// In lists the numbers of the texts in a value, such as the body of a message, in its order; of those in a map, in any order. It
// reads the strings and bytes of the value itself: how the value's type encodes itself makes no difference.
func In(value any) []int {
	var all []int
	inspect(reflect.ValueOf(value), func(data []byte) {
		for at := bytes.IndexByte(data, '<'); at >= 0; at = bytes.IndexByte(data, '<') {
			data = data[at:]
			if n := Number(data); n >= 0 {
				all = append(all, n)
			}
			data = data[1:]
		}
	})
	return all
}

// inspect calls f for every string, byte slice and byte array in a value.
func inspect(v reflect.Value, f func(data []byte)) {
	switch v.Kind() {
	case reflect.String:
		f([]byte(v.String()))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			inspect(v.Field(i), f)
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			inspect(v.Elem(), f)
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			f(bytesOf(v))
			return
		}
		for i := range v.Len() {
			inspect(v.Index(i), f)
		}
	case reflect.Map:
		for at := v.MapRange(); at.Next(); {
			inspect(at.Key(), f)
			inspect(at.Value(), f)
		}
	}
}

// bytesOf returns the content of a byte slice, which f must not change, or of a byte array.
func bytesOf(v reflect.Value) []byte {
	if v.Kind() == reflect.Slice {
		return v.Bytes()
	}
	data := make([]byte, v.Len())
	for i := range data {
		data[i] = byte(v.Index(i).Uint())
	}
	return data
}
