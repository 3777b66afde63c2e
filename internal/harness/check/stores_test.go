package check_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"distlabs/internal/harness/check/causal"
	"distlabs/internal/harness/check/history"
	"distlabs/internal/harness/check/sequential"
	"distlabs/internal/harness/check/session"

	"github.com/stretchr/testify/require"
)

// A loggedStore is sequentially consistent: writes go to one log, and each client
// reads what some prefix of it says, which only grows and has its own writes.
type loggedStore struct {
	log  []history.Op
	seen map[int]int // by client: the length of its prefix
}

func (s *loggedStore) write(op history.Op) {
	s.log = append(s.log, op)
	s.seen[op.Client] = len(s.log)
}

func (s *loggedStore) read(client int, key string, rnd *rand.Rand) string {
	s.seen[client] += rnd.IntN(len(s.log) - s.seen[client] + 1)
	for i := s.seen[client] - 1; i >= 0; i-- {
		if s.log[i].Key == key {
			return s.log[i].Value
		}
	}
	return ""
}

// A causalStore has a replica for each client. It hands a write over when all
// that the writer had is there, and keeps the last to come, or that with the latest stamp.
type causalStore struct {
	newest  bool
	log     []causalWrite
	applied map[int]map[int]bool // by client
	value   map[int]map[string]int
}

type causalWrite struct {
	op    history.Op
	past  map[int]bool
	stamp int // a Lamport clock
}

func (s *causalStore) apply(client, w int) {
	s.applied[client][w] = true
	key := s.log[w].op.Key
	if old, ok := s.value[client][key]; !ok || !s.newest || s.later(w, old) {
		s.value[client][key] = w
	}
}

func (s *causalStore) later(a, b int) bool {
	x, y := s.log[a], s.log[b]
	return x.stamp > y.stamp || x.stamp == y.stamp && x.op.Client > y.op.Client
}

func (s *causalStore) write(op history.Op) {
	w := causalWrite{op: op, past: map[int]bool{}, stamp: 1}
	for p := range s.applied[op.Client] {
		w.past[p] = true
		w.stamp = max(w.stamp, s.log[p].stamp+1)
	}
	s.log = append(s.log, w)
	s.apply(op.Client, len(s.log)-1)
}

func (s *causalStore) read(client int, key string, rnd *rand.Rand) string {
	for w, write := range s.log {
		ready := !s.applied[client][w] && rnd.IntN(4) == 0
		for p := range write.past {
			ready = ready && s.applied[client][p]
		}
		if ready {
			s.apply(client, w)
		}
	}
	if w, ok := s.value[client][key]; ok {
		return s.log[w].op.Value
	}
	return ""
}

type store interface {
	write(op history.Op)
	read(client int, key string, rnd *rand.Rand) string
}

// use lets five clients write and read three keys.
func use(s store, rnd *rand.Rand, n int) []history.Op {
	var ops []history.Op
	for i := range n {
		at := time.Duration(i) * time.Millisecond
		op := history.Op{Client: 1 + rnd.IntN(5), Key: string(rune('x' + rnd.IntN(3))), Invoke: at, Return: at + time.Millisecond/2}
		if rnd.IntN(3) == 0 {
			op.Kind, op.Value = history.Write, fmt.Sprint(i)
			s.write(op)
		} else {
			op.Value = s.read(op.Client, op.Key, rnd)
		}
		ops = append(ops, op)
	}
	return ops
}

// Long histories of stores that are right pass; those of a weaker one fail eventually, the
// check of the stronger.
func TestStores(t *testing.T) {
	const most = 180
	tooWeak, disagree := 0, 0
	for seed := range uint64(4) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		ops := use(&loggedStore{seen: map[int]int{}}, rnd, most)
		require.Equal(t, inSequence, judge(t, ops), "seed %d", seed)
		v, err := sequential.Check(ops, sequential.Options{LinearWrites: true})
		require.NoError(t, err)
		require.Nil(t, v)
		v, err = session.Check(ops, session.Options{LinearWrites: true, OneOrder: true})
		require.NoError(t, err)
		require.Nil(t, v)

		for _, newest := range []bool{false, true} {
			s := &causalStore{newest: newest, applied: map[int]map[int]bool{}, value: map[int]map[string]int{}}
			for client := range 6 {
				s.applied[client], s.value[client] = map[int]bool{}, map[string]int{}
			}
			ops := use(s, rnd, most/3)
			v, err := causal.Check(ops, causal.Options{Convergent: newest})
			require.NoError(t, err)
			require.Nil(t, v, "seed %d: %v", seed, v)
			v, err = session.Check(ops, session.Options{OneOrder: newest})
			require.NoError(t, err)
			require.Nil(t, v)
			v, err = sequential.Check(ops, sequential.Options{})
			require.NoError(t, err)
			if v != nil {
				tooWeak++
			}
			if v, err = causal.Check(ops, causal.Options{Convergent: true}); v != nil {
				disagree++
			}
			require.NoError(t, err)
		}
	}
	require.Positive(t, tooWeak, "no history of a causal store was other than sequential")
	require.Positive(t, disagree, "no two clients of causal memory disagreed")
}
