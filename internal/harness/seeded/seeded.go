// Package seeded stands in for the global functions of math/rand and math/rand/v2 in the code of students: it draws from the seed
// of the run. The grader builds student code with the packages below in place of those two (same names, same lines), so that
// code which ought to use Node.Rand replays all the same.
//
// A run is known by its synctest bubble. In a run, one node acts at one instant, so that the numbers come in one order; what
// several goroutines of a node draw at one instant does not. Outside a run the numbers are those of math/rand/v2.
package seeded

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
)

// runs has the stream of each run, by its bubble: uint64 → *Stream.
var runs sync.Map

// A Stream is a source of random numbers for one run.
type Stream struct {
	seed, drawn uint64
}

// Begin gives the run in a bubble its stream.
func Begin(bubble, seed uint64) { runs.Store(bubble, &Stream{seed: seed * 0x9e3779b97f4a7c15}) }

// End forgets the run.
func End(bubble uint64) { runs.Delete(bubble) }

// Current returns the stream of the run that the calling goroutine belongs to, or a source outside all runs.
func Current() rand.Source {
	if s, ok := runs.Load(Bubble()); ok {
		return s.(*Stream)
	}
	return global{}
}

// Uint64 returns the next number (SplitMix64: Steele, Lea, Flood, OOPSLA 2014). It orders nothing for the race detector: a lock
// here would hide the races of the nodes that draw.
//
//go:norace
func (s *Stream) Uint64() uint64 {
	s.drawn++
	x := s.seed + s.drawn*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

type global struct{}

func (global) Uint64() uint64 { return rand.Uint64() }

// Bubble reads the number of the caller's bubble from the first line of its stack: "goroutine 7 [running, synctest bubble 3]:". It is 0
// outside a bubble.
func Bubble() uint64 {
	var buf [128]byte
	line, _, _ := bytes.Cut(buf[:runtime.Stack(buf[:], false)], []byte("\n"))
	_, after, found := bytes.Cut(line, []byte("bubble "))
	if !found {
		return 0
	}
	digits, _, _ := bytes.Cut(after, []byte("]"))
	n, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
