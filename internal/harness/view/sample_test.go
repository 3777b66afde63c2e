package view

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/report"
	"distlabs/internal/harness/trace"
	"distlabs/labrpc"
)

// The messages of the sample's election.
type (
	requestVote struct{ Term int }
	voteReply   struct {
		Term, Candidate int
		Granted         bool
	}
	appendEntries struct {
		Term, Commit int
		Entries      []string
	}
	appendReply struct {
		Term int
		OK   bool
	}
	claim struct {
		ID   labrpc.NodeID
		Term int
	}
)

// A voter elects a leader as Raft does (Raft §5.2), with one mistake if forgets is set: it keeps its vote in
// memory only, so that after a crash it votes again.
type voter struct {
	node    *labrpc.Node
	forgets bool
	spread  time.Duration // how much the election timeouts differ
	claim   func(claim)

	mu    sync.Mutex
	term  int
	vote  labrpc.NodeID
	role  string
	votes int
	heard time.Time
}

func (v *voter) start() {
	if _, err := v.node.Disk().Load("term", &v.term); err != nil {
		return
	}
	if !v.forgets {
		_, _ = v.node.Disk().Load("vote", &v.vote)
	}
	v.heard = time.Now()
	v.become("follower")
	labrpc.Handle(v.node, "RequestVote", v.onVote)
	labrpc.Handle(v.node, "AppendEntries", v.onAppend)
	go v.watch()
}

// become notes the role and the term. The caller holds v.mu, or is alone.
func (v *voter) become(role string) {
	v.role = role
	v.node.Note("role", role)
	v.node.Note("term", v.term)
}

// save makes term and vote durable. The caller holds v.mu.
func (v *voter) save() {
	_ = v.node.Disk().Save("term", v.term)
	if !v.forgets {
		_ = v.node.Disk().Save("vote", v.vote)
	}
}

// adopt takes over a newer term. The caller holds v.mu.
func (v *voter) adopt(term int) {
	if term > v.term {
		v.term, v.vote = term, 0
		v.save()
		v.become("follower")
	}
}

func (v *voter) onVote(from labrpc.NodeID, m requestVote) voteReply {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.adopt(m.Term)
	granted := m.Term == v.term && (v.vote == 0 || v.vote == from)
	if granted {
		v.vote, v.heard = from, time.Now()
		v.save()
		v.node.Note("vote", from)
	}
	return voteReply{Term: v.term, Candidate: int(from), Granted: granted}
}

func (v *voter) onAppend(_ labrpc.NodeID, m appendEntries) appendReply {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.adopt(m.Term)
	if m.Term == v.term {
		v.heard = time.Now()
		if v.role == "candidate" {
			v.become("follower")
		}
	}
	return appendReply{Term: v.term, OK: m.Term == v.term}
}

func (v *voter) watch() {
	for v.node.Context().Err() == nil {
		wait := 150*time.Millisecond + time.Duration(v.node.Rand().Int64N(int64(v.spread)))
		v.mu.Lock()
		if v.role == "leader" {
			wait = 40 * time.Millisecond
		}
		v.mu.Unlock()
		since := time.Now()
		select {
		case <-v.node.Context().Done():
			return
		case <-time.After(wait):
		}
		v.turn(since)
	}
}

func (v *voter) turn(since time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.role == "leader":
		v.beat()
	case v.heard.Before(since):
		v.term++
		v.vote, v.votes = v.node.ID(), 1
		v.save()
		v.become("candidate")
		v.node.Note("vote", v.vote)
		ask(v, "RequestVote", requestVote{Term: v.term}, func(r voteReply) {
			if !r.Granted || r.Term != v.term || v.role != "candidate" {
				return
			}
			if v.votes++; v.votes > (len(v.node.Peers())+1)/2 {
				v.become("leader")
				v.claim(claim{v.node.ID(), v.term})
				v.beat()
			}
		})
	}
}

// beat sends heartbeats. The caller holds v.mu.
func (v *voter) beat() {
	ask(v, "AppendEntries", appendEntries{Term: v.term}, func(r appendReply) { v.adopt(r.Term) })
}

// ask calls every peer; got runs with v.mu held.
func ask[R, A any](v *voter, method string, args A, got func(R)) {
	for _, peer := range v.node.Peers() {
		go func() {
			ctx, cancel := context.WithTimeout(v.node.Context(), 60*time.Millisecond)
			defer cancel()
			if reply, err := labrpc.Call[R](ctx, v.node, peer, method, args); err == nil {
				v.mu.Lock()
				defer v.mu.Unlock()
				got(reply)
			}
		}()
	}
}

// sampleOptions say which election is held.
type sampleOptions struct {
	seed    uint64
	nodes   int
	forgets bool
	length  time.Duration
}

// sample is a recorded election with a partition, a paused node, crashes of voters and a lossy
// network. With voters that forget, it ends shortly after two nodes lead in one term.
func sample(t testing.TB, o sampleOptions) *trace.Run {
	t.Helper()
	rec := trace.NewRecorder(trace.Header{Module: "./labs/04-election", Test: "TestOneLeaderPerTerm4C", Seed: o.seed, Nodes: o.nodes})
	h := &election{opts: o, leaders: map[int]claim{}, at: map[int]time.Duration{}}
	inBubble(t, func() { h.hold(rec.Observe) })
	run := rec.Run()
	if h.failure != nil {
		run.Header.Violation = &trace.Violation{At: h.broke}
		h.failure.Faults = fmt.Sprint(func() int { n, _ := trace.ShortFaults(run); return n }(), " in this run")
		raw, err := json.Marshal(h.failure)
		require.NoError(t, err)
		run.Header.Failure = raw
	}
	return run
}

// inBubble runs f in virtual time, also for a benchmark.
func inBubble(t testing.TB, f func()) {
	t.Helper()
	switch t := t.(type) {
	case *testing.T:
		synctest.Test(t, func(*testing.T) { f() })
	default:
		t.Fatalf("%T has no bubbles", t)
	}
}

// An election is the test's side of the sample.
type election struct {
	opts sampleOptions
	net  *labrpc.Network

	mu      sync.Mutex
	leaders map[int]claim
	at      map[int]time.Duration
	latest  claim
	failure *report.Failure
	broke   time.Duration
}

func (h *election) hold(observe func(labrpc.Event)) {
	link := labrpc.Link{Loss: 0.03, Duplicate: 0.02, Latency: labrpc.Uniform(time.Millisecond, 12*time.Millisecond)}
	h.net = labrpc.New(labrpc.Options{Seed: h.opts.seed, Nodes: h.opts.nodes, Link: link, Observe: observe})
	defer h.net.Close()
	for _, id := range h.net.Nodes() {
		h.start(id)
	}
	end := h.net.Now() + h.opts.length
	for round := 0; h.net.Now() < end && !h.broken(); round++ {
		h.trouble(round)
	}
	h.net.Run(30 * time.Millisecond)
}

func (h *election) start(id labrpc.NodeID) {
	node := h.net.Start(id)
	v := &voter{node: node, forgets: h.opts.forgets, spread: 60 * time.Millisecond}
	v.claim = func(c claim) { _ = labrpc.Tell(node, c, h.claimed) }
	v.start()
}

func (h *election) broken() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failure != nil
}

// trouble is one round of faults: a follower is cut off and another pauses; then the nodes fall into two
// halves that meet only in the old leader (and one more, if they are even in number),
// which crashes again and again while the halves elect.
func (h *election) trouble(round int) {
	all := h.net.Nodes()
	n := len(all)
	if h.net.RunUntil(250*time.Millisecond, h.broken) {
		return
	}
	h.mu.Lock()
	leader := max(1, h.latest.ID)
	h.mu.Unlock()
	next := func(k int) labrpc.NodeID { return all[(int(leader)-1+k)%n] }
	h.net.Mark("round %d: n%d is cut off", round+1, int(next(2)))
	h.net.Isolate(next(2))
	h.net.Pause(next(1), 25*time.Millisecond)
	if h.net.RunUntil(120*time.Millisecond, h.broken) {
		return
	}
	h.net.Heal()
	if h.net.RunUntil(250*time.Millisecond, h.broken) {
		return
	}
	half := (n - 1) / 2
	h.net.Mark("round %d: two halves", round+1)
	for a := range half {
		for b := range half {
			h.net.CutBoth(next(n-1-a), next(n-1-half-b))
		}
	}
	for range 10 {
		for k := range n - 2*half {
			h.net.Crash(next(k))
			h.start(next(k))
		}
		if h.net.RunUntil(45*time.Millisecond, h.broken) {
			return
		}
	}
	h.net.Heal()
}

// claimed checks that at most one node leads a term (Raft §5.2).
func (h *election) claimed(at time.Duration, c claim) {
	h.mu.Lock()
	defer h.mu.Unlock()
	old, known := h.leaders[c.Term]
	if known && old.ID != c.ID && h.failure == nil {
		h.broke = at
		h.failure = &report.Failure{
			Test: "TestOneLeaderPerTerm4C", Kind: report.Rule, Where: "election_test.go:41", Seed: h.opts.seed,
			What: fmt.Sprintf("two leaders in term %d: %v (from %v) and %v (from %v)", c.Term,
				old.ID, trace.Seconds(h.at[c.Term]), c.ID, trace.Seconds(at)),
			Rule:   "at most one leader per term (Raft §5.2)",
			Replay: fmt.Sprintf("LABS_SEED=%d go test -race -run 'TestOneLeaderPerTerm4C$' ./labs/04-election", h.opts.seed),
		}
	}
	h.leaders[c.Term], h.at[c.Term], h.latest = c, at, c
}

// badElection returns the first sample in which two nodes lead one term.
func badElection(t testing.TB, nodes int) *trace.Run {
	t.Helper()
	for seed := range uint64(60) {
		if run := sample(t, sampleOptions{seed: seed + 1, nodes: nodes, forgets: true, length: 20 * time.Second}); run.Header.Failure != nil {
			return run
		}
	}
	t.Fatalf("no seed of 60 breaks the election of %d voters that forget", nodes)
	return nil
}
