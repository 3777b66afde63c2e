package trace

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/labrpc"
)

// A script records events, times in milliseconds.
type script struct {
	rec *Recorder
	seq uint64
	at  time.Duration
	num map[string]uint64
	msg uint64
}

func newScript(h Header) *script { return &script{rec: NewRecorder(h), num: map[string]uint64{}} }

func (s *script) add(kind labrpc.EventKind, e labrpc.Event) {
	s.seq++
	e.Seq, e.At, e.Kind = s.seq, s.at, kind
	if e.Node != 0 && e.Inc == 0 {
		e.Inc = 1
	}
	s.rec.Observe(e)
}

func (s *script) send(from, to labrpc.NodeID, method string, body any) labrpc.Event {
	s.msg++
	key := from.String() + to.String() + method
	s.num[key]++
	e := labrpc.Event{Msg: s.msg, From: from, To: to, Method: method, Message: labrpc.OneWay, Number: s.num[key], Body: body}
	sent := e
	sent.Node = from
	s.add(labrpc.EventSent, sent)
	return e
}

func (s *script) call(from, to labrpc.NodeID, method string, body any) labrpc.Event {
	s.msg++
	e := labrpc.Event{Msg: s.msg, From: from, To: to, Method: method, Message: labrpc.Request, Number: s.msg, Body: body}
	sent := e
	sent.Node = from
	s.add(labrpc.EventSent, sent)
	return e
}

func (s *script) deliver(e labrpc.Event) {
	e.Node = e.To
	s.add(labrpc.EventDelivered, e)
}

func (s *script) lose(e labrpc.Event, reason string) {
	e.Reason = reason
	s.add(labrpc.EventLost, e)
}

func (s *script) note(n labrpc.NodeID, name, value string) {
	s.add(labrpc.EventNoted, labrpc.Event{Node: n, Name: name, Value: value})
}

// election is a vote under faults, told by hand.
func election() *Run {
	s := newScript(Header{Nodes: 3, Violation: &Violation{At: 1391 * time.Millisecond}})
	for n := range labrpc.NodeID(3) {
		s.add(labrpc.EventStarted, labrpc.Event{Node: n + 1})
		s.note(n+1, "role", "follower")
	}
	for range 10 { // heartbeats
		s.at += 100 * time.Millisecond
		b := s.send(1, 2, "AppendEntries", beat{Term: 2})
		c := s.send(1, 3, "AppendEntries", beat{Term: 2})
		s.at += time.Millisecond
		s.deliver(b)
		s.note(2, "role", "follower")
		s.deliver(c)
	}
	s.at = 1100 * time.Millisecond
	s.add(labrpc.EventCut, labrpc.Event{From: 1, To: 2})
	s.add(labrpc.EventCut, labrpc.Event{From: 1, To: 3})
	s.add(labrpc.EventCut, labrpc.Event{From: 2, To: 1})
	s.add(labrpc.EventCut, labrpc.Event{From: 3, To: 1})
	s.at = 1190 * time.Millisecond
	s.note(2, "role", "candidate")
	s.note(2, "term", "3")
	s.add(labrpc.EventWrote, labrpc.Event{Node: 2, Name: "vote"})
	s.lose(s.call(2, 1, "RequestVote", voteArgs{3, 2}), "cut")
	v := s.call(2, 3, "RequestVote", voteArgs{3, 2})
	s.at = 1194*time.Millisecond + 300*time.Microsecond
	s.deliver(v)
	s.add(labrpc.EventWrote, labrpc.Event{Node: 3, Name: "vote"})
	s.msg++
	r := labrpc.Event{Node: 3, Msg: s.msg, From: 3, To: 2, Method: "RequestVote", Message: labrpc.Reply, Number: 1, ReplyTo: v.Msg, Body: voteReply{true}}
	s.add(labrpc.EventSent, r)
	r.Node = 0
	s.at += 200 * time.Microsecond
	s.add(labrpc.EventCrashed, labrpc.Event{Node: 3, Reason: `after write 1, of "vote"`})
	s.at = 1200 * time.Millisecond
	s.deliver(r)
	s.note(2, "role", "leader")
	s.add(labrpc.EventPaused, labrpc.Event{Node: 2, Value: "150ms"})
	s.at = 1391 * time.Millisecond
	s.add(labrpc.EventMarked, labrpc.Event{Value: "look\there"})
	s.at = 2 * time.Second
	s.note(2, "role", "after the end")
	return s.rec.Run()
}

// The timeline as a student sees it: sends of one instant in a row, what became of them, state
// that changed, heartbeats folded, nothing after the violation.
func TestTextOfAnElection(t *testing.T) {
	want := []string{
		`           … 4 steps before`,
		`0.000s       n3   starts`,
		`             n3   role follower`,
		`0.100s       n1   → n2 n3  AppendEntries{Term:2 Entries:nil}`,
		`0.101s       n2   ← n1     AppendEntries{Term:2 Entries:nil}  after 1ms`,
		`             n3   ← n1     AppendEntries{Term:2 Entries:nil}  after 1ms`,
		`0.201s     … 18 × AppendEntries n1→n2 n3`,
		`1.100s     ! test cuts n1 | n2 n3`,
		`1.190s       n2   role follower → candidate, term 3, writes vote`,
		`           ! n2   → n1     RequestVote{Term:3 Candidate:n2}  lost (cut)`,
		`             n2   → n3     RequestVote{Term:3 Candidate:n2}`,
		`1.194300s    n3   ← n2     RequestVote{Term:3 Candidate:n2}  after 4.3ms`,
		`             n3   writes vote, answers n2 {Granted:true}`,
		`1.194500s  ! n3   crashes (after write 1, of "vote")`,
		`1.200s       n2   ← n3     RequestVote reply{Granted:true}  after 5.7ms`,
		`             n2   role candidate → leader`,
		`           ! n2   pauses for 150ms`,
		`1.391s       test # look\there`,
		`1.391s     ✗ here the rule broke`,
	}
	got := Text(election(), Options{Fold: true, Last: 17})
	require.Equal(t, strings.Join(want, "\n")+"\n", got)
}

// A repeated message is folded only while it changes nothing, and what a new incarnation
// notes is new.
func TestFoldKeepsWhatIsNew(t *testing.T) {
	s := newScript(Header{Nodes: 2})
	for i := range 6 {
		s.at += 100 * time.Millisecond
		if i == 4 {
			s.add(labrpc.EventCrashed, labrpc.Event{Node: 2})
			s.add(labrpc.EventStarted, labrpc.Event{Node: 2, Inc: 2})
			s.add(labrpc.EventNoted, labrpc.Event{Node: 2, Inc: 2, Name: "term", Value: "2"})
		}
		m := s.send(1, 2, "Beat", beat{Term: 2})
		s.at += 5 * time.Millisecond
		s.deliver(m)
		if i == 0 || i == 2 {
			s.note(2, "term", map[int]string{0: "1", 2: "2"}[i])
		}
	}
	require.Equal(t, strings.Join([]string{
		`0.100s       n1   → n2  Beat{Term:2 Entries:nil}`,
		`0.105s       n2   ← n1  Beat{Term:2 Entries:nil}  after 5ms`,
		`             n2   term 1`,
		`0.205s     … 2 × Beat n1→n2`,
		`0.315s       n2   ← n1  Beat{Term:2 Entries:nil}  after 5ms`,
		`             n2   term 1 → 2`,
		`0.415s     … 1 × Beat n1→n2`,
		`0.520s     ! n2   crashes`,
		`             n2   starts again (start 2)`,
		`             n2   term 2`,
		`           … 2 × Beat n1→n2`,
		``,
	}, "\n"), Text(s.rec.Run(), Options{Fold: true}))
}

// A row that would be too wide gives up the ends of its values first.
func TestLongRows(t *testing.T) {
	s := newScript(Header{Nodes: 2})
	long := strings.Repeat("x", 100)
	c := s.call(1, 2, "Put", map[string]string{"Key": "k", "Value": long})
	s.at += 2 * time.Millisecond
	s.deliver(c)
	s.add(labrpc.EventSent, labrpc.Event{
		Node: 2, Msg: 9, From: 2, To: 1, Method: "Put", Message: labrpc.Reply, ReplyTo: c.Msg, Body: map[string]string{"Old": long},
	})
	s.add(labrpc.EventLost, labrpc.Event{Msg: 9, From: 2, To: 1, Method: "Put", Message: labrpc.Reply, ReplyTo: c.Msg, Reason: "cut"})
	s.note(1, "log", strings.Repeat("y", 300))
	lines := strings.Split(Text(s.rec.Run(), Options{}), "\n")
	require.Equal(t, `0.000s       n1   → n2  Put{Key:k Value:`+strings.Repeat("x", 45)+`…}`, lines[0])
	require.Equal(t, `0.002s     ! n2   ← n1  Put{Key:k Value:xxxxx…}  after 2ms, answers {Old:`+strings.Repeat("x", 23)+`…}  lost (cut)`, lines[1])
	require.Len(t, []rune(lines[2]), maxWidth)
}

// Options choose nodes, times, and what could have mattered.
func TestTextOptions(t *testing.T) {
	run := election()
	only := Text(run, Options{Fold: true, Nodes: []labrpc.NodeID{3}, Last: 100})
	require.Contains(t, only, "crashes")
	require.Contains(t, only, "cuts n1 | n3")
	require.NotContains(t, only, "role candidate")

	early := Text(run, Options{Fold: true, Until: 1190 * time.Millisecond})
	require.Contains(t, early, "candidate")
	require.NotContains(t, early, "1.194")
	require.NotContains(t, early, "the rule broke")

	require.Equal(t, defaultRows+2, strings.Count(Text(run, Options{}), "\n"), "the rows, what is before, and the violation")

	// n1 knows nothing of the vote; n3 knows of it, but not of n2's victory.
	past := Text(run, Options{Fold: true, Past: true, Nodes: []labrpc.NodeID{3}, Last: 100})
	require.Contains(t, past, "answers n2 {Granted:true}")
	require.NotContains(t, past, "RequestVote reply")
}

// A loss is in nobody's past, but explains what its sender waits for. A message between others
// is out of sight.
func TestPastKeepsLosses(t *testing.T) {
	s := newScript(Header{Nodes: 3})
	m, other := s.send(1, 2, "Ask", nil), s.send(3, 2, "Answer", nil)
	s.at = 5 * time.Millisecond
	s.lose(m, "receiver down")
	s.lose(other, "receiver down")
	run := s.rec.Run()
	require.Equal(t, ""+
		"0.000s       n1   → n2  Ask\n"+
		"0.005s     ! n1   → n2  Ask  lost (receiver down), sent at 0.000s\n",
		Text(run, Options{Past: true, Nodes: []labrpc.NodeID{1}}))
	require.Contains(t, Text(run, Options{Past: true}), "Answer  lost")
}

// The faults of a run, a line each; what only follows from a fault is none.
func TestShortFaults(t *testing.T) {
	s := newScript(Header{Nodes: 5})
	s.at = 1201 * time.Millisecond
	s.lose(s.send(1, 3, "RequestVote", voteArgs{}), "loss")
	m := s.send(1, 3, "RequestVote", voteArgs{})
	dup := m
	dup.Copy = 1
	s.add(labrpc.EventDuplicated, dup)
	s.lose(m, "receiver down")
	s.lose(dup, "answered already")
	h := s.send(2, 3, "RequestVote", voteArgs{})
	s.add(labrpc.EventHeld, h)
	other := s.send(2, 4, "RequestVote", voteArgs{})
	s.add(labrpc.EventHeld, other)
	s.add(labrpc.EventAltered, s.send(4, 5, "RequestVote", voteArgs{}))
	s.add(labrpc.EventAltered, labrpc.Event{Msg: 99, From: 4, To: 5, Method: "RequestVote", Message: labrpc.OneWay, Number: 1, Body: voteArgs{}})
	s.add(labrpc.EventAltered, labrpc.Event{Msg: 98, From: 4, To: 5, Method: "RequestVote", Message: labrpc.OneWay, Number: 1, Body: voteArgs{Term: 5}})
	s.add(labrpc.EventDelivered, labrpc.Event{Msg: 98, From: 4, To: 5, Node: 5, Method: "RequestVote", Message: labrpc.OneWay, Number: 1, Body: voteArgs{Term: 5}})
	s.lose(s.send(5, 1, "RequestVote", voteArgs{}), "dropped by the test")
	s.at = 1300 * time.Millisecond
	s.add(labrpc.EventReleased, h)
	s.add(labrpc.EventCut, labrpc.Event{From: 1, To: 2})
	s.add(labrpc.EventCut, labrpc.Event{From: 1, To: 3})
	s.lose(s.send(1, 2, "RequestVote", voteArgs{}), "cut")
	s.add(labrpc.EventHealed, labrpc.Event{From: 1, To: 2})
	s.add(labrpc.EventCut, labrpc.Event{From: 3, To: 4})
	s.add(labrpc.EventCut, labrpc.Event{From: 3, To: 5})
	s.add(labrpc.EventCrashed, labrpc.Event{Node: 5})
	s.add(labrpc.EventCrashed, labrpc.Event{Node: 3})
	s.add(labrpc.EventStopped, labrpc.Event{Node: 4})
	s.add(labrpc.EventPaused, labrpc.Event{Node: 2, Value: "30ms"})
	s.add(labrpc.EventClock, labrpc.Event{Node: 2, Value: "jumps by 1h0m0s"})
	s.add(labrpc.EventClock, labrpc.Event{Node: 2, Value: "jumps by -1h0m0s"})
	s.add(labrpc.EventClock, labrpc.Event{Node: 1, Value: "jumps by -1h0m0s"})
	s.at = 1400 * time.Millisecond
	s.add(labrpc.EventHealed, labrpc.Event{From: 3, To: 4})
	s.add(labrpc.EventCut, labrpc.Event{From: 4, To: 3})
	s.add(labrpc.EventHealed, labrpc.Event{From: 4, To: 3})
	s.at = 1500 * time.Millisecond
	s.add(labrpc.EventHealed, labrpc.Event{From: 3, To: 5})
	s.add(labrpc.EventCrashed, labrpc.Event{Node: 1, Reason: "network closed"})

	n, lines := ShortFaults(s.rec.Run())
	require.Equal(t, []string{
		"n1→n3 RequestVote #1 lost at 1.201s",
		"n1→n3 RequestVote #2 duplicated at 1.201s",
		"n2→n3 RequestVote #1 held back from 1.201s to 1.300s",
		"n2→n4 RequestVote #1 held back from 1.201s until the end",
		"n4→n5 RequestVote #1 altered at 1.201s",
		"n4→n5 RequestVote #1 sent again by the test at 1.201s",
		"n4→n5 RequestVote #1 forged by the test at 1.201s",
		"n5→n1 RequestVote #1 dropped by the test at 1.201s",
		"cut n1→n2 n3 at 1.300s",
		"cut n3→n4 n5 at 1.300s, all of it healed by 1.500s",
		"n5 n3 crashed at 1.300s",
		"n4 crashed for good at 1.300s",
		"n2 paused for 30ms at 1.300s",
		"n2's clock: jumps by 1h0m0s at 1.300s",
		"the clock of each of n2 n1: jumps by -1h0m0s at 1.300s",
		"cut n4→n3 at 1.400s and healed at once",
	}, FaultTexts(lines))
	require.Equal(t, len(lines), n)
	var injected []string
	for _, l := range lines {
		if !l.ByTest {
			injected = append(injected, l.Text)
		}
	}
	require.Equal(t, []string{"n1→n3 RequestVote #1 lost at 1.201s", "n1→n3 RequestVote #2 duplicated at 1.201s"}, injected)
}

// Sets of links are named by their groups.
func TestDescribeLinks(t *testing.T) {
	between := func(a, b []labrpc.NodeID) (ws []wire) {
		for _, x := range a {
			for _, y := range b {
				ws = append(ws, wire{x, y}, wire{y, x})
			}
		}
		return ws
	}
	ids := func(ids ...labrpc.NodeID) []labrpc.NodeID { return ids }
	require.Equal(t, "n1→n2", describeLinks([]wire{{1, 2}}))
	require.Equal(t, "n1 | n2", describeLinks(between(ids(1), ids(2))))
	require.Equal(t, "n3 | n1 n2 n4 n5", describeLinks(between(ids(3), ids(1, 2, 4, 5))))
	require.Equal(t, "n1 n2 | n3 n4 n5", describeLinks(between(ids(3, 4, 5), ids(1, 2))))
	require.Equal(t, "n1 | n2, n3→n4 n5", describeLinks(append(between(ids(1), ids(2)), wire{3, 5}, wire{3, 4})))
}

// Times are rounded down, and small ones keep their digits.
func TestSeconds(t *testing.T) {
	require.Equal(t, "0.000s", Seconds(0))
	require.Equal(t, "0.000123s", Seconds(123456))
	require.Equal(t, "1.999s", Seconds(2*time.Second-1))
	require.Equal(t, "75.001s", Seconds(75*time.Second+time.Millisecond))
}

// Bodies look like Go, and are cut so that they still look like one.
func TestBodyInText(t *testing.T) {
	require.Equal(t, `{Term:3 Log:[a "b c"] Who:nil}`, goLike(`{"Term":3,"Log":["a","b c"],"Who":null}`))
	require.Equal(t, `(7)`, goLike(`7`))
	require.Equal(t, `("\x1b[31m")`, goLike(`"\u001b[31m"`))
	require.Equal(t, `{Term:0 Leader:n1}`, within(`{"Term":0,"Leader":"n1"}`, 30))
	require.Equal(t, `{Granted:false Command:abc}`, within(`{"Term":0,"Key":"","Leader":"none","Granted":false,"Command":"abc","Entries":[]}`, 30))
	require.Equal(t, `{Granted:…}`, within(`{"Term":0,"Granted":false}`, 11))
	require.Equal(t, `{Term:3…}`, brace(`{Term:3 Candidate:n1}`, 9))
	require.Equal(t, `a\u202eb\nc`, printable("a\u202eb\nc"))
}
