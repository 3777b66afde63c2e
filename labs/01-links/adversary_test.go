package links_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"time"

	"distlabs/internal/harness/marked"
	"distlabs/labrpc"
)

// The adversary of these tests has no key and does not know the format of the packets. It takes
// a packet that it has seen and changes the numbers, strings and bytes in it. It works on the packet's value, so
// the methods of a packet's type, such as UnmarshalCBOR, make no difference.

// visit calls f for every number, string, boolean, byte slice and byte array in a value, in a fixed order. What f changes in a
// map is written back. The value is addressable.
func visit(v reflect.Value, f func(leaf reflect.Value)) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			visit(v.Field(i), f)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			visit(v.Elem(), f)
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			f(v)
			return
		}
		for i := range v.Len() {
			visit(v.Index(i), f)
		}
	case reflect.Map:
		visitMap(v, f)
	case reflect.Interface, reflect.Func, reflect.Chan:
		// Such a value cannot travel.
	default:
		f(v)
	}
}

func visitMap(v reflect.Value, f func(leaf reflect.Value)) {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	for _, old := range keys {
		key, value := reflect.New(old.Type()).Elem(), reflect.New(v.Type().Elem()).Elem()
		key.Set(old)
		value.Set(v.MapIndex(old))
		visit(key, f)
		visit(value, f)
		v.SetMapIndex(old, reflect.Value{})
		v.SetMapIndex(key, value)
	}
}

// deepCopy makes an addressable copy of a value that shares nothing with it.
func deepCopy(v reflect.Value) reflect.Value {
	to := reflect.New(v.Type()).Elem()
	to.Set(v)
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				to.Field(i).Set(deepCopy(v.Field(i)))
			}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			to.Set(deepCopy(v.Elem()).Addr())
		}
	case reflect.Slice:
		if v.IsNil() {
			break
		}
		to.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			to.Index(i).Set(deepCopy(v.Index(i)))
		}
	case reflect.Array:
		for i := range v.Len() {
			to.Index(i).Set(deepCopy(v.Index(i)))
		}
	case reflect.Map:
		if v.IsNil() {
			break
		}
		to.Set(reflect.MakeMap(v.Type()))
		for at := v.MapRange(); at.Next(); {
			to.SetMapIndex(deepCopy(at.Key()), deepCopy(at.Value()))
		}
	}
	return to
}

// altered returns a copy of the packet, changed by change.
func altered(p labrpc.Message, change func(leaf reflect.Value)) labrpc.Message {
	body := deepCopy(reflect.ValueOf(p.Body))
	visit(body, change)
	p.Body = body.Interface()
	return p
}

// A forgery is a packet with one change, made when it is called.
type forgery func() labrpc.Message

// forgeries lists the single changes to a packet: every number a little more or less, every byte with one
// of its two low bits flipped, every string and slice shortened. It lists the same for the packet with
// each of its byte slices empty, or its byte arrays zero, for a receiver that does not check an empty MAC.
func forgeries(p labrpc.Message) []forgery {
	all := singleChanges(p)
	at := -1
	visit(deepCopy(reflect.ValueOf(p.Body)), func(leaf reflect.Value) {
		if at++; holdsBytes(leaf) {
			empty := altered(p, only(at, func(l reflect.Value) { setBytes(l, nil) }))
			all = append(all, singleChanges(empty)...)
		}
	})
	return all
}

func singleChanges(p labrpc.Message) []forgery {
	var all []forgery
	at := -1
	visit(deepCopy(reflect.ValueOf(p.Body)), func(leaf reflect.Value) {
		at++
		place := at
		for _, change := range changes(leaf) {
			all = append(all, func() labrpc.Message { return altered(p, only(place, change)) })
		}
	})
	return all
}

// shortMACs lists the packets with another text, and with each value of one byte in the place of any other bytes or string.
func shortMACs(p labrpc.Message, text, other string) []labrpc.Message {
	var all []labrpc.Message
	p = altered(p, func(l reflect.Value) {
		if holdsText(l) {
			setText(l, bytes.ReplaceAll(textOf(l), []byte(text), []byte(other)))
		}
	})
	at := -1
	visit(deepCopy(reflect.ValueOf(p.Body)), func(leaf reflect.Value) {
		at++
		if leaf.Kind() != reflect.String && leaf.Kind() != reflect.Slice || len(marked.In(leaf.Interface())) > 0 {
			return
		}
		for b := range 256 {
			all = append(all, altered(p, only(at, func(l reflect.Value) { setText(l, []byte{byte(b)}) })))
		}
	})
	return all
}

// only makes a change to the part at one place.
func only(place int, change func(reflect.Value)) func(reflect.Value) {
	i := -1
	return func(l reflect.Value) {
		if i++; i == place {
			change(l)
		}
	}
}

// made makes the forgeries of a packet. It leaves out those that are equal to the packet: they are no forgeries.
func made(p labrpc.Message, all []forgery) []labrpc.Message {
	var packets []labrpc.Message
	for _, f := range all {
		if forged := f(); forged.Method != p.Method || !reflect.DeepEqual(forged.Body, p.Body) {
			packets = append(packets, forged)
		}
	}
	return packets
}

// changes lists the changes to one part of a packet.
func changes(leaf reflect.Value) []func(reflect.Value) {
	var all []func(reflect.Value)
	add := func(f func(reflect.Value)) { all = append(all, f) }
	switch {
	case leaf.CanInt(), leaf.CanUint():
		for d := int64(-2); d <= 8; d++ {
			if d != 0 {
				add(func(l reflect.Value) { shift(l, d) })
			}
		}
	case leaf.Kind() == reflect.Bool:
		add(func(l reflect.Value) { l.SetBool(!l.Bool()) })
	case holdsText(leaf):
		for _, change := range byteChanges(leaf.Len()) {
			add(func(l reflect.Value) { setText(l, change(textOf(l))) })
		}
	}
	return all
}

func holdsBytes(leaf reflect.Value) bool {
	return leaf.Kind() == reflect.Slice || leaf.Kind() == reflect.Array
}

// holdsText reports whether the part is a string, a byte slice or a byte array.
func holdsText(leaf reflect.Value) bool { return leaf.Kind() == reflect.String || holdsBytes(leaf) }

// textOf copies the bytes of a part that holdsText.
func textOf(leaf reflect.Value) []byte {
	if leaf.Kind() == reflect.String {
		return []byte(leaf.String())
	}
	return slices.Clone(leaf.Bytes())
}

// setText sets the bytes of a part that holdsText.
func setText(leaf reflect.Value, b []byte) {
	if leaf.Kind() == reflect.String {
		leaf.SetString(string(b))
		return
	}
	setBytes(leaf, b)
}

// setBytes sets a byte slice or array. An array is longer than b, or as long: what is left of it is zero.
func setBytes(leaf reflect.Value, b []byte) {
	if leaf.Kind() == reflect.Slice {
		leaf.SetBytes(b)
		return
	}
	leaf.SetZero()
	for i, x := range b {
		leaf.Index(i).SetUint(uint64(x))
	}
}

func shift(l reflect.Value, d int64) {
	if l.CanInt() {
		l.SetInt(l.Int() + d)
	} else {
		l.SetUint(l.Uint() + uint64(d))
	}
}

func byteChanges(length int) []func([]byte) []byte {
	var all []func([]byte) []byte
	for i := range length {
		for bit := range 2 {
			all = append(all, func(b []byte) []byte {
				b[i] ^= 1 << bit
				return b
			})
		}
	}
	for _, n := range []int{0, 1, length / 2, length - 1} {
		if n >= 0 && n < length {
			all = append(all, func(b []byte) []byte { return b[:n] })
		}
	}
	return all
}

// scrambled returns a copy of the packet with random numbers, and with a few random bytes in each byte slice.
func scrambled(p labrpc.Message, r *rand.Rand) labrpc.Message {
	return altered(p, func(l reflect.Value) {
		switch {
		case l.CanInt():
			l.SetInt(int64(r.Uint32()))
		case l.CanUint():
			l.SetUint(uint64(r.Uint32()))
		case holdsBytes(l) && l.Len() > 0:
			b := slices.Clone(l.Bytes())
			for range 4 {
				b[r.IntN(len(b))] = byte(r.Uint32())
			}
			setBytes(l, b)
		}
	})
}
