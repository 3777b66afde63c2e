package gateway

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/etcdserverpb"

	"distlabs/labrpc"
	replication "distlabs/labs/05-replication"
)

// The state of some keys after each revision, worked out in the plainest way, beside what the mirror answers about it.
func TestMirrorKnowsOldRevisions(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	m := newMirror()
	states := []map[string]kv{{}}
	for revision := 1; revision <= 500; revision++ {
		key := fmt.Sprintf("k%d", rnd.IntN(8))
		e := replication.Event{Revision: revision, Key: key, Data: fmt.Sprint(revision), Deleted: rnd.IntN(4) == 0}
		next := map[string]kv{}
		for name, k := range states[revision-1] {
			next[name] = k
		}
		if e.Deleted {
			e.Data = ""
			delete(next, key)
		} else {
			k := kv{Key: key, Value: e.Data, Create: revision, Mod: revision, Version: 1}
			if old, ok := next[key]; ok {
				k.Create, k.Version = old.Create, old.Version+1
			}
			next[key] = k
		}
		states = append(states, next)
		require.True(t, m.apply(e))
	}
	for revision, state := range states {
		found, ok := m.at("k2", "k6", revision)
		require.True(t, ok)
		var want []kv
		for _, name := range []string{"k2", "k3", "k4", "k5"} {
			if k, ok := state[name]; ok {
				want = append(want, k)
			}
		}
		require.Equal(t, want, found, "at revision %d", revision)
	}
	_, ok := m.at("k2", "", 501)
	require.False(t, ok, "a revision that is not there yet")

	// Applying the changes of a range from some revision on leads from the state there to the present one.
	changes, reached, _, ok := m.since("k2", "k6", 251)
	require.True(t, ok)
	require.Equal(t, 500, reached)
	state := map[string]kv{}
	for name, k := range states[250] {
		state[name] = k
	}
	for _, c := range changes {
		require.Equal(t, state[c.Key], c.Before)
		if state[c.Key] = c.After; c.After.Mod == 0 {
			delete(state, c.Key)
		}
	}
	for _, name := range []string{"k2", "k3", "k4", "k5"} {
		require.Equal(t, states[500][name], state[name])
	}
}

func TestMirrorTakesEventsInOrderOnly(t *testing.T) {
	m := newMirror()
	require.True(t, m.apply(replication.Event{Revision: 1, Key: "a", Data: "1"}))
	require.True(t, m.apply(replication.Event{Revision: 1, Key: "a", Data: "1"}), "known already")
	require.False(t, m.apply(replication.Event{Revision: 3, Key: "a", Data: "3"}), "a gap")
	require.Equal(t, 1, m.revision())
}

// A mirror forgets its oldest changes, and then does not answer about them; a copy knows what the mirror knows.
func TestMirrorForgetsAndCopies(t *testing.T) {
	m := newMirror()
	for revision := 1; revision <= 3*history; revision++ {
		m.apply(replication.Event{Revision: revision, Key: fmt.Sprintf("k%d", revision%3), Data: fmt.Sprint(revision)})
	}
	_, ok := m.at("k1", "", history)
	require.False(t, ok)
	_, _, _, ok = m.since("k1", "", history)
	require.False(t, ok)
	found, ok := m.at("k1", "", 2*history+10)
	require.True(t, ok)
	require.Len(t, found, 1)

	b, err := labrpc.Marshal(m.copy())
	require.NoError(t, err)
	var c copyOf
	require.NoError(t, labrpc.Unmarshal(b, &c))
	other := newMirror()
	require.True(t, other.restore(c))
	require.False(t, other.restore(c), "it is not ahead any more")
	for _, revision := range []int{2*history + 10, 3 * history} {
		want, _ := m.at("k", "l", revision)
		got, ok := other.at("k", "l", revision)
		require.True(t, ok)
		require.Equal(t, want, got)
	}
}

// A key keeps the lease with which it was created; what the gateway keeps for itself is not shown; a marked key is deleted.
func TestMirrorReadsWhatGatewaysWrite(t *testing.T) {
	m := newMirror()
	revision := 0
	apply := func(key, data string) {
		revision++
		require.True(t, m.apply(replication.Event{Revision: revision, Key: key, Data: data, Deleted: data == "-"}))
	}
	key := func() kv { k, _ := m.key("a"); return k }
	apply(leasePrefix+leaseID(-7), "info")
	apply("a", encodeValue("\x00zero", -7))
	require.Equal(t, kv{Key: "a", Value: "\x00zero", Create: 2, Mod: 2, Version: 1, Lease: -7}, key())
	require.Equal(t, map[int64]string{-7: "info"}, m.leases())
	apply("a", encodeValue("\x00D", 0)) // a value that looks like a mark is none
	require.Equal(t, kv{Key: "a", Value: "\x00D", Create: 2, Mod: 3, Version: 2, Lease: -7}, key())
	apply("a", markGone)
	_, marked := m.key("a")
	require.True(t, marked)
	apply("a", "-") // the deletion that clients have seen already
	apply(leasePrefix+leaseID(-7), "-")
	require.Empty(t, m.leases())
	apply("a", "x")
	require.Equal(t, kv{Key: "a", Value: "x", Create: 7, Mod: 7, Version: 1}, key())
	all, _ := m.at("\x00", "\x00", revision)
	require.Len(t, all, 1, "hidden keys are not shown")
	changes, _, _, _ := m.since("\x00", "\x00", 1)
	var revisions []int
	for _, c := range changes {
		revisions = append(revisions, c.Revision)
	}
	require.Equal(t, []int{2, 3, 4, 7}, revisions)
}

func TestMirrorWaits(t *testing.T) {
	m := newMirror()
	done := make(chan error, 1)
	go func() { done <- m.wait(t.Context(), 1) }()
	m.apply(replication.Event{Revision: 1, Key: "a"})
	require.NoError(t, <-done)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	require.ErrorIs(t, m.wait(ctx, 2), context.DeadlineExceeded)
}

func TestCompare(t *testing.T) {
	k := kv{Key: "a", Value: "v", Create: 3, Mod: 5, Version: 2, Lease: 9}
	for _, row := range []struct {
		c        *etcdserverpb.Compare
		is, none bool // of k; of a key that does not exist
	}{
		{&etcdserverpb.Compare{Target: etcdserverpb.Compare_VERSION, Result: etcdserverpb.Compare_EQUAL, TargetUnion: &etcdserverpb.Compare_Version{Version: 2}}, true, false},
		{&etcdserverpb.Compare{Target: etcdserverpb.Compare_VERSION, Result: etcdserverpb.Compare_EQUAL, TargetUnion: &etcdserverpb.Compare_Version{}}, false, true},
		{&etcdserverpb.Compare{Target: etcdserverpb.Compare_CREATE, Result: etcdserverpb.Compare_EQUAL, TargetUnion: &etcdserverpb.Compare_CreateRevision{CreateRevision: 4}}, true, false},
		{&etcdserverpb.Compare{Target: etcdserverpb.Compare_CREATE, Result: etcdserverpb.Compare_EQUAL, TargetUnion: &etcdserverpb.Compare_CreateRevision{}}, false, true},
		{&etcdserverpb.Compare{Target: etcdserverpb.Compare_MOD, Result: etcdserverpb.Compare_GREATER, TargetUnion: &etcdserverpb.Compare_ModRevision{ModRevision: 5}}, true, false},
		{&etcdserverpb.Compare{Target: etcdserverpb.Compare_MOD, Result: etcdserverpb.Compare_LESS, TargetUnion: &etcdserverpb.Compare_ModRevision{ModRevision: 6}}, false, true},
		{&etcdserverpb.Compare{Target: etcdserverpb.Compare_VALUE, Result: etcdserverpb.Compare_NOT_EQUAL, TargetUnion: &etcdserverpb.Compare_Value{Value: []byte("w")}}, true, false},
		{&etcdserverpb.Compare{Target: etcdserverpb.Compare_LEASE, Result: etcdserverpb.Compare_EQUAL, TargetUnion: &etcdserverpb.Compare_Lease{Lease: 9}}, true, false},
	} {
		require.Equal(t, row.is, compareKey(row.c, k), row.c.String())
		require.Equal(t, row.none, compareKey(row.c, kv{}), row.c.String())
	}
}

// What the store cannot do is refused before anything is done.
func TestTxnThatTheStoreCannotDo(t *testing.T) {
	put := func(key string) *etcdserverpb.RequestOp {
		return &etcdserverpb.RequestOp{Request: &etcdserverpb.RequestOp_RequestPut{RequestPut: &etcdserverpb.PutRequest{Key: []byte(key)}}}
	}
	read := &etcdserverpb.RequestOp{Request: &etcdserverpb.RequestOp_RequestRange{RequestRange: &etcdserverpb.RangeRequest{Key: []byte("z"), RangeEnd: []byte("{")}}}
	compare := func(key, end string) *etcdserverpb.Compare {
		return &etcdserverpb.Compare{Key: []byte(key), RangeEnd: []byte(end)}
	}
	ops := func(o ...*etcdserverpb.RequestOp) []*etcdserverpb.RequestOp { return o }
	for _, row := range []struct {
		name    string
		r       *etcdserverpb.TxnRequest
		written string
		refused bool
	}{
		{"reads only", &etcdserverpb.TxnRequest{Compare: []*etcdserverpb.Compare{compare("a", ""), compare("b", "c")}, Success: ops(read, read)}, "", false},
		{"one key, both branches", &etcdserverpb.TxnRequest{Compare: []*etcdserverpb.Compare{compare("a", "")}, Success: ops(read, put("a"), read), Failure: ops(put("a"))}, "a", false},
		{"two keys", &etcdserverpb.TxnRequest{Success: ops(put("a"), put("b"))}, "", true},
		{"two keys in two branches", &etcdserverpb.TxnRequest{Success: ops(put("a")), Failure: ops(put("b"))}, "", true},
		{"one key twice", &etcdserverpb.TxnRequest{Success: ops(put("a"), put("a"))}, "", true},
		{"another key compared", &etcdserverpb.TxnRequest{Compare: []*etcdserverpb.Compare{compare("b", "")}, Success: ops(put("a"))}, "", true},
		{"a range compared", &etcdserverpb.TxnRequest{Compare: []*etcdserverpb.Compare{compare("a", "b")}, Success: ops(put("a"))}, "", true},
		{"a hidden key", &etcdserverpb.TxnRequest{Success: ops(put(barrierKey))}, "", true},
		{"nested", &etcdserverpb.TxnRequest{Success: ops(&etcdserverpb.RequestOp{Request: &etcdserverpb.RequestOp_RequestTxn{}})}, "", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := checkTxn(row.r)
			require.Equal(t, row.refused, err != nil, err)
			require.Equal(t, row.written, got.written)
		})
	}
}
