package isolation

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// A store is a multi-version store whose level is known, driven one operation at a time: transactions overlap as the random
// numbers say.
type store struct {
	level    Level
	rand     *rand.Rand
	lists    bool
	scans    bool
	versions map[string][]version
	commits  int // a logical clock
	next     int64
}

type version struct {
	at    int
	value []int64
}

// A running transaction.
type running struct {
	txn    Txn
	start  int
	writes map[string][]int64
	reads  map[string]bool
	left   int
}

// history runs txns transactions with at most open of them at the same time.
func (s *store) history(txns, open, keys, ops int) *History {
	s.versions = map[string][]version{}
	h := &History{}
	var active []*running
	now := time.Duration(0)
	var done []Txn
	started := 0
	for len(done) < txns {
		now += time.Millisecond
		if started < txns && (len(active) == 0 || len(active) < open && s.rand.IntN(3) == 0) {
			started++
			session := freeSession(active)
			active = append(active, &running{txn: Txn{ID: started, Session: session, Call: now}, start: s.commits,
				writes: map[string][]int64{}, reads: map[string]bool{}, left: 1 + s.rand.IntN(ops)})
			continue
		}
		i := s.rand.IntN(len(active))
		r := active[i]
		if r.left > 0 {
			s.step(r, keys)
			r.left--
			continue
		}
		r.txn.Outcome = s.commit(r)
		r.txn.Return = now
		done = append(done, r.txn)
		active = append(active[:i], active[i+1:]...)
	}
	h.Txns = done // sessions have one transaction at a time, so the order of returns is theirs
	return h
}

func freeSession(active []*running) int {
	for session := 1; ; session++ {
		free := true
		for _, r := range active {
			free = free && r.txn.Session != session
		}
		if free {
			return session
		}
	}
}

func (s *store) step(r *running, keys int) {
	key := fmt.Sprintf("k%02d", s.rand.IntN(keys))
	switch n := s.rand.IntN(10); {
	case s.scans && n == 0:
		s.scan(r, key, fmt.Sprintf("k%02d", s.rand.IntN(keys)))
	case n < 5:
		r.reads[key] = true
		r.txn.Ops = append(r.txn.Ops, s.observed(key, s.read(r, key)))
	default:
		s.next++
		if s.lists {
			r.txn.Ops = append(r.txn.Ops, A(key, s.next))
			r.writes[key] = append(r.writes[key], s.next)
			return
		}
		r.txn.Ops = append(r.txn.Ops, W(key, s.next))
		r.writes[key] = []int64{s.next}
	}
}

func (s *store) observed(key string, value []int64) Op {
	switch {
	case s.lists:
		return L(key, value...)
	case len(value) == 0:
		return Missing(key)
	}
	return R(key, value[0])
}

func (s *store) scan(r *running, a, b string) {
	from, to := min(a, b), max(a, b)
	op := S(from, to)
	for k := range 100 {
		key := fmt.Sprintf("k%02d", k)
		if key >= from && key < to {
			r.reads[key] = true
			if v := s.read(r, key); len(v) > 0 {
				op.Found = append(op.Found, s.observed(key, v))
			}
		}
	}
	r.txn.Ops = append(r.txn.Ops, op)
}

// read returns what the transaction sees of the key at its level.
func (s *store) read(r *running, key string) []int64 {
	start := r.start
	if s.level <= ReadCommitted {
		start = s.commits
	}
	own := r.writes[key]
	if !s.lists && len(own) > 0 {
		return own
	}
	return append(append([]int64{}, s.at(key, start)...), own...)
}

func (s *store) at(key string, clock int) []int64 {
	var value []int64
	for _, v := range s.versions[key] {
		if v.at <= clock {
			value = v.value
		}
	}
	return value
}

// commit installs the transaction's writes, unless its level forbids this.
func (s *store) commit(r *running) Outcome {
	if s.rand.IntN(12) == 0 {
		return Aborted
	}
	changed := func(key string) bool {
		v := s.versions[key]
		return len(v) > 0 && v[len(v)-1].at > r.start
	}
	if s.level >= SnapshotIsolation {
		for key := range r.writes {
			if changed(key) {
				return Aborted
			}
		}
	}
	if s.level >= Serializable && len(r.writes) > 0 { // one that writes nothing is as of its start
		for key := range r.reads {
			if changed(key) {
				return Aborted
			}
		}
	}
	if len(r.writes) == 0 {
		return Committed
	}
	s.commits++
	for key, own := range r.writes {
		value := own
		if s.lists {
			value = append(append([]int64{}, s.at(key, s.commits)...), own...)
		}
		s.versions[key] = append(s.versions[key], version{at: s.commits, value: value})
	}
	return Committed
}
