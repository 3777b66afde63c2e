package links_test

import (
	"slices"
	"sync"
	"sync/atomic"

	"distlabs/internal/harness/marked"
	"distlabs/labrpc"
)

// A wire loses the packets that carry chosen numbered texts.
type wire struct {
	forged atomic.Bool                             // an adversary has sent packets
	watch  atomic.Pointer[func(p *labrpc.Message)] // sees every packet, also those that are lost; may be nil

	mu       sync.Mutex
	lose     map[int]int  // for each number: how many of its next packets are lost
	withheld map[int]bool // all packets with these numbers are lost
	counted  map[int]bool // packets with these numbers are counted
	packets  int          // how many of these were sent
}

// see is an interceptor.
func (w *wire) see(p *labrpc.Message) labrpc.Verdict {
	if watch := w.watch.Load(); watch != nil {
		(*watch)(p)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.lose) == 0 && len(w.withheld) == 0 && len(w.counted) == 0 {
		return labrpc.Pass
	}
	verdict, counts := labrpc.Pass, false
	for _, n := range marked.In(p.Body) {
		counts = counts || w.counted[n]
		if w.withheld[n] {
			verdict = labrpc.Drop
		}
		if w.lose[n] > 0 {
			w.lose[n]--
			verdict = labrpc.Drop
		}
	}
	if counts {
		w.packets++
	}
	return verdict
}

// count begins to count the packets with these numbers, from 0.
func (w *wire) count(numbers ...int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counted, w.packets = map[int]bool{}, 0
	for _, n := range numbers {
		w.counted[n] = true
	}
}

// sent is how many of the counted packets were sent, lost ones included.
func (w *wire) sent() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.packets
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
	return w.withheld[marked.Number([]byte(text))]
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
