package sequential

import (
	"encoding/binary"

	"distlabs/internal/harness/check/history"
)

// A search looks for an order, operation by operation. What may come next is an
// operation with all that must precede it done. A read that may come next
// does so at once: it changes nothing, so waiting gains nothing. Writes are tried
// one after another, and none while its key holds a value that is yet to be read.
type search struct {
	ix     *history.Index
	before [][]int // of each operation: those that must precede it, without the implied ones
	left   int     // steps

	done    []bool
	ndone   int
	holds   map[string]int // the last write of each key
	unread  []int          // of each write: the reads of it that are not done
	visited map[string]bool
}

func newSearch(ix *history.Index, must *history.Order, steps int) *search {
	n := len(ix.Ops)
	s := &search{
		ix: ix, left: steps, before: make([][]int, n),
		done: make([]bool, n), holds: map[string]int{}, unread: make([]int, n), visited: map[string]bool{},
	}
	for b := range n {
		for a := range n {
			if must.Has(a, b) {
				s.before[b] = append(s.before[b], a)
			}
		}
		if from := ix.From[b]; from != history.Nothing {
			s.unread[from]++
		}
	}
	return s
}

// run reports whether the operations that are not done can be done in some order.
func (s *search) run() bool {
	reads := s.doReads()
	defer func() {
		for _, r := range reads {
			s.undo(r)
		}
	}()
	if s.ndone == len(s.ix.Ops) {
		return true
	}
	key := s.state()
	if s.visited[key] {
		return false
	}
	s.visited[key] = true
	for w, op := range s.ix.Ops {
		if op.Kind != history.Write || !s.ready(w) {
			continue
		}
		old, had := s.holds[op.Key]
		if had && s.unread[old] > 0 {
			continue
		}
		if s.left--; s.left < 0 {
			return false
		}
		s.do(w)
		s.holds[op.Key] = w
		found := s.run()
		s.undo(w)
		if had {
			s.holds[op.Key] = old
		} else {
			delete(s.holds, op.Key)
		}
		if found {
			return true
		}
	}
	return false
}

// doReads does the reads that may come next, and returns them.
func (s *search) doReads() []int {
	var reads []int
	for grown := true; grown; {
		grown = false
		for r, op := range s.ix.Ops {
			if op.Kind == history.Read && s.ready(r) && s.sees(r) {
				s.do(r)
				reads = append(reads, r)
				grown = true
			}
		}
	}
	return reads
}

func (s *search) sees(r int) bool {
	held, has := s.holds[s.ix.Ops[r].Key]
	if from := s.ix.From[r]; from != history.Nothing {
		return has && held == from
	}
	return !has
}

func (s *search) ready(op int) bool {
	if s.done[op] {
		return false
	}
	for _, b := range s.before[op] {
		if !s.done[b] {
			return false
		}
	}
	return true
}

func (s *search) do(op int) {
	s.done[op] = true
	s.ndone++
	if from := s.ix.From[op]; from != history.Nothing {
		s.unread[from]--
	}
}

func (s *search) undo(op int) {
	s.done[op] = false
	s.ndone--
	if from := s.ix.From[op]; from != history.Nothing {
		s.unread[from]++
	}
}

// state is all that the rest of the search depends on. The last writes of the
// keys matter only as far as they are yet to be read.
func (s *search) state() string {
	n := len(s.ix.Ops)
	bits := make([]byte, (n+7)/8, (n+7)/8+16)
	for op, done := range s.done {
		if done {
			bits[op/8] |= 1 << (op % 8)
		}
	}
	for w, op := range s.ix.Ops {
		if op.Kind == history.Write && s.done[w] && s.unread[w] > 0 && s.holds[op.Key] == w {
			bits = binary.AppendUvarint(bits, uint64(w))
		}
	}
	return string(bits)
}
