package links_test

import (
	"math/rand/v2"
	"reflect"

	"distlabs/labrpc"
)

// The adversary of these tests knows no key, and does not know what your packets look like: it takes
// one that it has seen and changes what it finds in it.

// visit calls f for every number, string, boolean and byte slice in a value, in a fixed order.
func visit(v reflect.Value, f func(leaf reflect.Value)) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			visit(v.Field(i), f)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			visit(v.Elem(), f)
		}
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8 {
			f(v)
			return
		}
		for i := range v.Len() {
			visit(v.Index(i), f)
		}
	case reflect.Map, reflect.Interface, reflect.Func, reflect.Chan:
		// Left as it is.
	default:
		f(v)
	}
}

// altered returns a copy of the packet, with whatever change makes of its parts.
func altered(p labrpc.Message, change func(leaf reflect.Value)) labrpc.Message {
	data, err := labrpc.Marshal(p.Body)
	if err != nil {
		return p
	}
	body := reflect.New(reflect.TypeOf(p.Body))
	if labrpc.Unmarshal(data, body.Interface()) != nil {
		return p
	}
	visit(body.Elem(), change)
	p.Body = body.Elem().Interface()
	return p
}

// A forgery is a packet with one change, made when it is called.
type forgery func() labrpc.Message

// forgeries lists what can be done to a packet: every number a little more or less, every byte with one
// of its two low bits flipped, everything that has a length cut short; and all that to the packet with
// each of its byte slices empty, for a receiver that takes no MAC for a good one.
func forgeries(p labrpc.Message) []forgery {
	all := singleChanges(p)
	at := -1
	visit(reflect.ValueOf(p.Body), func(leaf reflect.Value) {
		if at++; leaf.Kind() == reflect.Slice {
			empty := altered(p, only(at, func(l reflect.Value) { l.SetBytes(nil) }))
			all = append(all, singleChanges(empty)...)
		}
	})
	return all
}

func singleChanges(p labrpc.Message) []forgery {
	var all []forgery
	at := -1
	visit(reflect.ValueOf(p.Body), func(leaf reflect.Value) {
		at++
		place := at
		for _, change := range changes(leaf) {
			all = append(all, func() labrpc.Message { return altered(p, only(place, change)) })
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

// made makes the forgeries.
func made(all []forgery) []labrpc.Message {
	var packets []labrpc.Message
	for _, f := range all {
		packets = append(packets, f())
	}
	return packets
}

// changes lists what can be done to one part of a packet.
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
	case leaf.Kind() == reflect.String:
		for _, change := range byteChanges(leaf.Len()) {
			add(func(l reflect.Value) { l.SetString(string(change([]byte(l.String())))) })
		}
	case leaf.Kind() == reflect.Slice:
		for _, change := range byteChanges(leaf.Len()) {
			add(func(l reflect.Value) { l.SetBytes(change(l.Bytes())) })
		}
	}
	return all
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

// scrambled returns a copy of the packet with all numbers at random, and a few bytes of what is made of bytes.
func scrambled(p labrpc.Message, r *rand.Rand) labrpc.Message {
	return altered(p, func(l reflect.Value) {
		switch {
		case l.CanInt():
			l.SetInt(int64(r.Uint32()))
		case l.CanUint():
			l.SetUint(uint64(r.Uint32()))
		case l.Kind() == reflect.Slice && l.Len() > 0:
			b := append([]byte{}, l.Bytes()...)
			for range 4 {
				b[r.IntN(len(b))] = byte(r.Uint32())
			}
			l.SetBytes(b)
		}
	})
}
