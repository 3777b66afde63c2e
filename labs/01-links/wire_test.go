package links_test

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"distlabs/labrpc"
)

// numberedText is a message that the tests find in a packet (rule 6).
func numberedText(i int) string { return fmt.Sprintf("<%05d>", i) }

// textNumber is the number of a numbered text; -1 if it is none.
func textNumber(text []byte) int {
	if len(text) < 7 || text[0] != '<' || text[6] != '>' {
		return -1
	}
	n := 0
	for _, digit := range text[1:6] {
		if digit < '0' || digit > '9' {
			return -1
		}
		n = 10*n + int(digit-'0')
	}
	return n
}

// numbersIn lists the numbered texts in a packet, in its order. It reads the strings and bytes of the packet itself: how
// the packet's type encodes itself makes no difference.
func numbersIn(body any) []int {
	var all []int
	inspect(reflect.ValueOf(body), func(data []byte) {
		for at := bytes.IndexByte(data, '<'); at >= 0; at = bytes.IndexByte(data, '<') {
			data = data[at:]
			if n := textNumber(data); n >= 0 {
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

// A wire loses the packets that carry chosen numbered texts.
type wire struct {
	forged atomic.Bool // an adversary has sent packets

	mu       sync.Mutex
	lose     map[int]int  // for each number: how many of its next packets are lost
	withheld map[int]bool // all packets with these numbers are lost
}

// see is an interceptor.
func (w *wire) see(p *labrpc.Message) labrpc.Verdict {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.lose) == 0 && len(w.withheld) == 0 {
		return labrpc.Pass
	}
	verdict := labrpc.Pass
	for _, n := range numbersIn(p.Body) {
		if w.withheld[n] {
			verdict = labrpc.Drop
		}
		if w.lose[n] > 0 {
			w.lose[n]--
			verdict = labrpc.Drop
		}
	}
	return verdict
}

// loseNext loses the next packets with this number.
func (w *wire) loseNext(n, packets int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lose[n] = packets
}

// lost reports whether all packets were lost that loseNext asked for.
func (w *wire) lost(n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lose[n] == 0
}

// withhold loses all packets with these numbers, until release.
func (w *wire) withhold(numbers ...int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range numbers {
		w.withheld[n] = true
	}
}

func (w *wire) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.withheld)
}

// withholds reports whether all packets with this text were lost.
func (w *wire) withholds(text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.withheld[textNumber([]byte(text))]
}

// A packetLog keeps copies of the packets that were sent.
type packetLog struct {
	mu   sync.Mutex
	over bool
	seen []labrpc.Message
}

// record is an interceptor.
func (l *packetLog) record(p *labrpc.Message) labrpc.Verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		l.seen = append(l.seen, *p)
	}
	return labrpc.Pass
}

func (l *packetLog) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
}

func (l *packetLog) packets() []labrpc.Message {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.seen)
}
