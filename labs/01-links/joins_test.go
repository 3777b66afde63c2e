package links_test

import (
	"math/rand/v2"
	"reflect"
	"strconv"

	"distlabs/labrpc"
)

// The forgeries of this file keep the bytes of a packet and change where one field ends and the next begins.

// A field is a part of a packet that was written as text or bytes.
type field struct {
	place int
	text  string
	base  int  // of a number; 0 for a string or bytes
	fixed bool // an array: its length cannot change
}

// fields lists the fields of a packet, in its order, as they would be written in a base.
func fields(p labrpc.Message, base int) []field {
	var all []field
	place := -1
	visit(deepCopy(reflect.ValueOf(p.Body)), func(leaf reflect.Value) {
		place++
		switch {
		case leaf.CanInt():
			all = append(all, field{place: place, text: strconv.FormatInt(leaf.Int(), base), base: base})
		case leaf.CanUint():
			all = append(all, field{place: place, text: strconv.FormatUint(leaf.Uint(), base), base: base})
		case leaf.Kind() == reflect.String:
			all = append(all, field{place: place, text: leaf.String()})
		case holdsBytes(leaf):
			all = append(all, field{place: place, text: string(leaf.Bytes()), fixed: leaf.Kind() == reflect.Array})
		}
	})
	return all
}

// rigid reports whether no bytes can move from one field of a packet to another.
func rigid(p labrpc.Message) bool {
	moving := 0
	for _, f := range fields(p, 10) {
		if !f.fixed {
			moving++
		}
	}
	return moving < 2
}

// joins lists the forgeries that move a few bytes from one field to another, and those that exchange two fields. In each pair,
// either field may have been written first.
func joins(p labrpc.Message) []forgery {
	var all []forgery
	for _, base := range []int{10, 16} {
		fs := fields(p, base)
		for _, a := range fs {
			for _, b := range fs {
				if a.place == b.place || base == 16 && a.base == 0 && b.base == 0 {
					continue
				}
				for _, moved := range moves(a.text, b.text) {
					all = append(all, func() labrpc.Message { return withFields(p, a, moved[0], b, moved[1]) })
				}
				if a.place < b.place {
					all = append(all, func() labrpc.Message { return withFields(p, a, b.text, b, a.text) })
				}
			}
		}
	}
	return all
}

// some returns the forgeries, or 500 of them: a packet with many messages has thousands.
func some(r *rand.Rand, all []forgery) []forgery {
	const most = 500
	if len(all) > most {
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		all = all[:most]
	}
	return all
}

// moves lists other ways to divide a+b, near the end of a, with and without a separator between the two.
func moves(a, b string) [][2]string {
	var all [][2]string
	for n := 1; n <= 3; n++ {
		if n <= len(b) {
			all = append(all, [2]string{a + b[:n], b[n:]})
		}
		if n <= len(a) {
			all = append(all, [2]string{a[:len(a)-n], a[len(a)-n:] + b})
		}
	}
	for i := range min(len(b), 8) {
		if sep := b[i]; sep == ':' || sep == ',' || sep == 0 {
			all = append(all, [2]string{a + string(sep) + b[:i], b[i+1:]})
		}
	}
	return all
}

// withFields sets two fields. The packet stays as it is if a number would not be one, or an array would have another length.
func withFields(p labrpc.Message, a field, aText string, b field, bText string) labrpc.Message {
	place, valid := -1, true
	forged := altered(p, func(leaf reflect.Value) {
		place++
		switch place {
		case a.place:
			valid = set(leaf, aText, a.base) && valid
		case b.place:
			valid = set(leaf, bText, b.base) && valid
		}
	})
	if !valid {
		return p
	}
	return forged
}

func set(leaf reflect.Value, text string, base int) bool {
	switch {
	case leaf.CanInt():
		n, err := strconv.ParseInt(text, max(base, 10), leaf.Type().Bits())
		leaf.SetInt(n)
		return err == nil
	case leaf.CanUint():
		n, err := strconv.ParseUint(text, max(base, 10), leaf.Type().Bits())
		leaf.SetUint(n)
		return err == nil
	case leaf.Kind() == reflect.String:
		leaf.SetString(text)
	case leaf.Kind() == reflect.Array && len(text) != leaf.Len():
		return false
	default:
		setBytes(leaf, []byte(text))
	}
	return true
}

// transplants lists the forgeries that send the fields of a packet under another method that was seen: an
// acknowledgement made of a message, or a message made of an acknowledgement.
func transplants(p labrpc.Message, seen []labrpc.Message) []forgery {
	var all []forgery
	done := map[string]bool{p.Method: true}
	for _, other := range seen {
		if done[other.Method] {
			continue
		}
		done[other.Method] = true
		all = append(all, func() labrpc.Message { return transplant(p, other) })
	}
	return all
}

func transplant(p, other labrpc.Message) labrpc.Message {
	from, to := deepCopy(reflect.ValueOf(p.Body)), reflect.New(reflect.TypeOf(other.Body)).Elem()
	switch {
	case from.Type() == to.Type():
		to.Set(from)
	case from.Kind() == reflect.Struct && to.Kind() == reflect.Struct:
		for i := range to.NumField() {
			if f := from.FieldByName(to.Type().Field(i).Name); f.IsValid() && f.Type() == to.Field(i).Type() && to.Field(i).CanSet() {
				to.Field(i).Set(f)
			}
		}
	}
	return labrpc.Message{From: p.From, To: p.To, Method: other.Method, Kind: other.Kind, Body: to.Interface()}
}
