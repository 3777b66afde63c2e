package clocks_test

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	clocks "distlabs/labs/03-clocks"

	"pgregory.net/rapid"
)

const (
	ruleHalfDelay   = "Delay is the time that the two messages were on their way; Offset errs by at most half of Delay (rule 1; RFC 5905 §8)"
	ruleFollows     = "Now is within 25 ms of the server's clock, from two minutes after the start, after a clock was set, or after an outage (rule 2)"
	ruleFollowsLost = "Now is within 25 ms of the server's clock from two minutes after the start, also when questions or replies are lost; a question without a reply is given up, and the next one is asked (rules 2 and 6)"
	ruleWindow      = "of the last 8 exchanges the one with the shortest delay counts, so Now is right if one in eight is fast (rules 2 and 3; RFC 5905 §10)"
	ruleOutage      = "in an outage, Now errs by at most 25 ms plus 0.2 ms per second of the outage, also if a wall clock was set two minutes before the outage (rule 2)"
	ruleUnknown     = "before the first exchange, Now returns the time of the node's wall clock (rule 2)"
	ruleForward     = "Now never goes back and advances by at least 0.3 s in every second, also when a wall clock is set (rule 4)"
	ruleDrift       = "an hour after the start, Drift errs by at most 6 ppm; before the second exchange it is 0 (rule 5)"
	ruleApart       = "a SyncedClock asks at most one question per 4 s: any two questions are at least 4 s apart, also after a question without a reply (rule 6)"
	ruleLate        = "a reply belongs to its own question, also if it arrives after the next question, and Now is right if one of 8 replies is late (rules 2 and 3)"
	ruleLost        = "of the last 8 exchanges the one with the shortest delay counts; a question without a reply is no exchange, so the others stay (rule 3)"

	maxError = 25 * time.Millisecond
	settled  = 2 * time.Minute // after which the clock must be right

	// What the rules say, whatever the student's constants are.
	window       = 8
	pollInterval = 4 * time.Second
)

// noon is the time to which the tables below refer.
var noon = time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)

// exchange returns the four timestamps if the server's clock is ahead by offset and the request, the server
// and the reply take the given times.
func exchange(offset, out, server, back time.Duration) clocks.Exchange {
	return clocks.Exchange{
		Asked: noon, Received: noon.Add(out + offset), Answered: noon.Add(out + server + offset),
		Returned: noon.Add(out + server + back),
	}
}

// Offset and Delay are compared with exchanges of which the test knows everything.
func TestOffsetAndDelay3A(t *testing.T) {
	const ms = time.Millisecond
	labtest.Once(t, func(s *labtest.Sim) {
		check := func(offset, out, server, back time.Duration) *labtest.Violation {
			e := exchange(offset, out, server, back)
			v := &labtest.Violation{Rule: ruleHalfDelay, Seen: []string{fmt.Sprintf(
				"the server's clock is ahead by %v; the request took %v, the server %v, the reply %v", offset, out, server, back)}}
			if got := e.Delay(); got != out+back {
				v.What = fmt.Sprintf("Delay() = %v, want %v", got, out+back)
				return v
			}
			half := (out + back) / 2
			if got := e.Offset(); (got - offset).Abs() > half+1 {
				v.What = fmt.Sprintf("Offset() = %v, want %v ± %v", got, offset, half)
				return v
			}
			return nil
		}
		for _, row := range []struct{ offset, out, server, back time.Duration }{
			{offset: 0, out: 5 * ms, server: 1 * ms, back: 5 * ms},
			{offset: 100 * ms, out: 0, server: 30 * ms, back: 0},
			{offset: -70 * ms, out: 4 * ms, server: 0, back: 4 * ms},
			{offset: 3 * time.Second, out: 80 * ms, server: 500 * ms, back: 2 * ms},
			{offset: -3 * time.Second, out: 2 * ms, server: 500 * ms, back: 80 * ms},
			{offset: 7, out: 100, server: 10, back: 50},
			{offset: 90 * time.Minute, out: 3 * time.Hour, server: 2 * time.Hour, back: time.Hour},
			{offset: 50 * 24 * time.Hour, out: 5 * ms, server: 1 * ms, back: 5 * ms},
			{offset: 100 * 365 * 24 * time.Hour, out: 5 * ms, server: 1 * ms, back: 5 * ms},
			{offset: -100 * 365 * 24 * time.Hour, out: 5 * ms, server: 1 * ms, back: 5 * ms},
		} {
			if v := check(row.offset, row.out, row.server, row.back); v != nil {
				s.Fail(*v)
			}
		}
		property(s, func(t *rapid.T) *labtest.Violation {
			length := func(most int, name string) time.Duration {
				return time.Duration(rapid.IntRange(0, most).Draw(t, name)) * ms
			}
			offset := length(200_000, "offset") - 100*time.Second
			return check(offset, length(1000, "out"), length(1000, "server"), length(1000, "back"))
		})
	})
}

// A timekeeping is a client, n2, that follows a server, n1.
type timekeeping struct {
	s         *labtest.Sim
	clock     *clocks.SyncedClock
	questions *asked  // nil for a second client
	drift     float64 // of the client's wall clock against the server's, in ppm
	last      string  // what the test did last, for messages; may be empty
}

// newTimekeeping starts both. The server's clock is years away from package time, so that the client must ask; the
// client's clock is ahead of the server's by the given time. Both drift by up to 100 ppm.
func newTimekeeping(s *labtest.Sim, ahead time.Duration) *timekeeping {
	epoch := 30*365*24*time.Hour + time.Duration(s.Rand().Int64N(int64(24*time.Hour)))
	serverDrift, clientDrift := 200*s.Rand().Float64()-100, 200*s.Rand().Float64()-100
	setClock(s, 1, epoch, serverDrift)
	setClock(s, 2, epoch+ahead, clientDrift)
	questions := &asked{s: s, sent: map[labrpc.NodeID]*clientMessages{}}
	s.Net.Intercept(questions.see)
	clocks.ServeTime(s.Start(1))
	clock := clocks.NewSyncedClock(s.Start(2), 1)
	return &timekeeping{s: s, clock: clock, drift: clientDrift - serverDrift, questions: questions}
}

// asked knows the questions of each client to n1: the messages of the method of which it has sent most, and of equals the first. A client may also send messages
// that do not ask for the time (rule 6), as NTS does (RFC 8915).
type asked struct {
	s    *labtest.Sim
	mu   sync.Mutex
	sent map[labrpc.NodeID]*clientMessages
}

type clientMessages struct {
	question string // the method
	count    map[string]int
	last     map[string]time.Duration
}

// see is an interceptor. It checks that a client's questions are apart (rule 6).
func (a *asked) see(m *labrpc.Message) labrpc.Verdict {
	if m.To != 1 || m.From == 1 || m.Kind == labrpc.Reply {
		return labrpc.Pass
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.sent[m.From]
	if c == nil {
		c = &clientMessages{question: m.Method, count: map[string]int{}, last: map[string]time.Duration{}}
		a.sent[m.From] = c
	}
	if c.count[m.Method]++; c.count[m.Method] > c.count[c.question] {
		c.question = m.Method
	}
	now := a.s.Net.Now()
	if last, known := c.last[m.Method]; known && m.Method == c.question && now-last < pollInterval-time.Millisecond {
		a.s.Failf(ruleApart, "%v sent its server a question (%s) at %s and the next one at %s, %v later, want at least %v between them",
			m.From, m.Method, labtest.At(last), labtest.At(now), (now - last).Round(time.Millisecond), pollInterval)
	}
	c.last[m.Method] = now
	return labrpc.Pass
}

// match is what matches the questions of n2.
func (a *asked) match() labrpc.Match {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.sent[2]; c != nil {
		return labrpc.Match{From: 2, To: 1, Method: c.question}
	}
	return labrpc.Match{From: 2, To: 1}
}

// setClock sets a clock before the start. When a failure is minimised, the clock may remain as it was: then the two
// clocks are years apart, and no rule applies.
func setClock(s *labtest.Sim, id labrpc.NodeID, skew time.Duration, drift float64) {
	s.Net.SetClock(id, skew, drift)
	if !s.Net.ReadClock(id).Equal(time.Now().Add(skew)) {
		s.Failf("the test sets both clocks before the start", "%v's clock was not set", id)
	}
}

// skew draws a client's error at the start.
func skew(s *labtest.Sim) time.Duration {
	d := 2*time.Second + time.Duration(s.Rand().Int64N(int64(8*time.Second)))
	if s.Rand().IntN(2) == 0 {
		return -d
	}
	return d
}

// ahead says by how much a clock is ahead of another, or behind it: "3ms ahead of".
func ahead(d time.Duration) string {
	of := "ahead of"
	if d < 0 {
		d, of = -d, "behind"
	}
	if d >= 48*time.Hour {
		return fmt.Sprintf("%d days %s", d/(24*time.Hour), of)
	}
	return fmt.Sprintf("%v %s", d.Round(time.Microsecond), of)
}

// err returns by how much the clock is ahead of the server's.
func (k *timekeeping) err() time.Duration { return k.clock.Now().Sub(k.s.Net.ReadClock(1)) }

// follow checks for a while that the clock is right.
func (k *timekeeping) follow(d time.Duration, rule string) {
	for range int(d / time.Second) {
		k.s.Run(time.Second)
		off := k.err()
		k.s.Measure("error of the clock", float64(off.Abs().Microseconds())/1000, "ms", "≤ 25")
		if off.Abs() > maxError {
			seen := []string{fmt.Sprintf("n2's own wall clock is %s the clock of n1", ahead(k.s.Net.ReadClock(2).Sub(k.s.Net.ReadClock(1))))}
			if k.last != "" {
				seen = append(seen, k.last)
			}
			k.s.Fail(labtest.Violation{
				What: fmt.Sprintf("at %s, Now on n2 is %s the clock of its server, n1, want a difference of at most 25ms", labtest.At(k.s.Net.Now()), ahead(off)),
				Rule: rule,
				Seen: seen,
			})
		}
	}
}

// A clock that is seconds off at first and drifts follows its server, although every fifth message is lost.
func TestFollowsTheServer3A(t *testing.T) {
	const lost = "a message was lost"
	cfg := labtest.Config{Nodes: 2, Link: labrpc.FairLoss(0.2), MustCover: []string{lost}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		k := newTimekeeping(s, skew(s))
		s.Run(settled)
		k.follow(5*time.Minute, ruleFollowsLost)
		if s.Net.Stats(labrpc.Match{}).Lost > 0 {
			s.Cover(lost)
		}
	})
}

// Seven of eight questions take 700 ms and their answers 5 ms, so that the exchange errs by a third of a second. The
// eighth exchange is fast both ways. Then some replies arrive after later questions. Then the server's clock is set just after an exchange that was faster than all
// later ones: eight exchanges later that exchange must not count. At the end most questions are lost: they are no exchanges, and a fast exchange
// before them counts.
func TestBestOfTheWindow3A(t *testing.T) {
	const slow, set = "an exchange had a slow question and a fast answer", "a fast exchange became older than the last 8"
	const lost = "more questions than the window has places were lost, and a fast exchange was among the last 8"
	const late = "a reply took longer than from one question to the next"
	cfg := labtest.Config{Nodes: 2, Seeds: 5, Limit: time.Hour, MustCover: []string{slow, set, lost, late}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		q := &questions{s: s, phase: s.Rand().IntN(window)}
		q.prepare()
		k := newTimekeeping(s, skew(s))
		q.of = k.questions
		for range int((settled + 3*time.Minute) / time.Second) {
			q.prepare()
			if s.Net.Now() < settled {
				s.Run(time.Second)
			} else {
				k.follow(time.Second, ruleWindow)
			}
			if q.slow {
				s.Cover(slow)
			}
		}
		if !k.lateReplies(q, late) {
			return // rule 6 allows fewer questions
		}
		q.both(time.Millisecond)
		if !q.wait(2) {
			return
		}
		s.Net.JumpClock(1, 60*time.Millisecond)
		q.both(10 * time.Millisecond)
		if !q.wait(window) {
			return
		}
		s.Cover(set)
		k.forgets(set)
		k.losesQuestions(q, lost)
	})
}

// forgets checks, before the next answer, that the exchange from before the set does not count: the error is small or becomes smaller, faster than wall
// clocks drift. A client may correct it gradually, as NTP does, for two minutes after the set (rule 2).
func (k *timekeeping) forgets(situation string) {
	const wait = 3500 * time.Millisecond // less than until the next answer
	before := k.err()
	k.s.Run(wait)
	if now := k.err(); now.Abs() > maxError && before.Abs()-now.Abs() < time.Millisecond { // two clocks drift by 0.7ms in that time
		k.s.Failf(ruleWindow, "at %s, Now on n2 is %s the clock of its server, n1, and was %s it %v before, want a difference of at most 25ms, or one that becomes smaller: %s",
			labtest.At(k.s.Net.Now()), ahead(now), ahead(before), wait, situation)
	}
	k.s.Run(settled - wait)
	k.follow(time.Second, ruleFollows)
}

// lateReplies lets one reply arrive just after the next question, and one just after the question after that. All other messages are fast. It
// reports whether the client asked often enough. A client may also wait for the late reply before it asks again.
func (k *timekeeping) lateReplies(q *questions, situation string) bool {
	const way = 20 * time.Millisecond
	defer func() { k.last = "" }()
	for later := 1; later <= 2; later++ {
		q.both(way)
		if !q.wait(window) {
			return false
		}
		before := k.s.Net.Now()
		if !q.wait(1) {
			return false
		}
		takes := time.Duration(later)*(k.s.Net.Now()-before) - way/2 // arrives 10 ms after the later question
		k.s.Net.SetLink(1, 2, labrpc.Link{Latency: labrpc.Fixed(takes)})
		if !q.wait(1) {
			return false
		}
		q.both(way) // the late reply is on its way
		k.last = fmt.Sprintf("n2 asked at %s, and the reply took %v; each of the other messages took %v",
			labtest.At(k.s.Net.Now()-100*time.Millisecond), takes.Round(time.Millisecond), way)
		k.follow(10*time.Second, ruleLate)
		k.s.Cover(situation)
	}
	return true
}

// losesQuestions lets one exchange be fast. Of the next questions most are lost, 8 of them in a row; the others, fewer than 7, take 700 ms and their
// answers 5 ms. The fast exchange is among the last 8 all the time, so it counts (rule 3), and its age costs 0.2 ms per second.
func (k *timekeeping) losesQuestions(q *questions, situation string) {
	q.both(time.Millisecond)
	if !q.wait(1) {
		return // rule 6 allows fewer questions
	}
	fast, answered := k.s.Net.Now(), q.answered()
	for i, lost := range []int{0, 2, 1, 3, 8} { // before each slow exchange
		q.loses(true)
		if lost > 0 && !q.wait(lost) {
			return
		}
		q.loses(false)
		if !q.wait(1) {
			return
		}
		k.s.Run(time.Second) // until the answer is there, and the next question is not
		age := k.s.Net.Now() - fast
		most := maxError + age/5000
		if off := k.err(); off.Abs() > most {
			k.s.Failf(ruleLost, "at %s, Now on n2 is %s the clock of its server, n1, want a difference of at most %v: %v before, an exchange took 1ms each way. Since then %d slow exchanges and %d questions without a reply followed",
				labtest.At(k.s.Net.Now()), ahead(off), most.Round(time.Millisecond), age.Round(time.Second), q.answered()-answered, q.lost)
		}
		if i == 4 && q.answered()-answered == 5 {
			k.s.Cover(situation)
		}
	}
}

// questions decides how long the client's questions and the server's answers take.
type questions struct {
	s     *labtest.Sim
	of    *asked
	phase int
	slow  bool // the next question
	lost  int  // how many questions loses and wait have lost
	loss  bool // questions are lost now
}

// asked is how many questions the client has sent.
func (q *questions) asked() int { return q.stats().Sent }

func (q *questions) stats() labrpc.MethodStats {
	if q.of == nil {
		return labrpc.MethodStats{} // n2 has not started
	}
	return q.s.Net.Stats(q.of.match())
}

// prepare makes the next exchange fast if it is the one of eight, else slow. Every ninth question is lost, which is no exchange.
func (q *questions) prepare() {
	q.slow = (q.answered()+q.phase)%window != 0
	question := 5 * time.Millisecond
	if q.slow {
		question = 700 * time.Millisecond
	}
	loss := 0.0
	if q.slow && (q.asked()+q.phase)%(window+1) == 0 {
		loss = 1
	}
	q.sets(question, loss)
}

// sets sets the time of each question and how many are lost. Answers are fast.
func (q *questions) sets(question time.Duration, loss float64) {
	q.s.Net.SetLink(2, 1, labrpc.Link{Latency: labrpc.Fixed(question), Loss: loss})
	q.s.Net.SetLink(1, 2, labrpc.Link{Latency: labrpc.Fixed(5 * time.Millisecond)})
}

// replies is how many answers the server has sent.
func (q *questions) replies() int { return q.s.Net.Stats(labrpc.Match{From: 1}).Sent }

// answered is how many questions have reached the server. (It may answer each in several messages, and some time later. Only questions are lost.)
func (q *questions) answered() int { return q.stats().Delivered }

// loses loses all questions from now on, or makes them slow.
func (q *questions) loses(all bool) {
	q.loss = all
	loss := 0.0
	if all {
		loss = 1
	}
	q.sets(700*time.Millisecond, loss)
}

// both sets the time of each message.
func (q *questions) both(d time.Duration) { q.s.Net.SetLinks(labrpc.Link{Latency: labrpc.Fixed(d)}) }

// wait waits until n more questions have been asked and answered, for as long as rule 2 lets a clock follow one that was set, or longer if they are lost. A
// client may ask less often than every PollInterval, also because it gets no answers (rule 6; RFC 5905 §13).
func (q *questions) wait(n int) bool {
	most := settled
	if q.loss {
		q.lost += n
		most = 15 * time.Minute
	}
	n += q.asked()
	ok := q.s.Until(most, func() bool { return q.asked() >= n })
	q.s.Run(100 * time.Millisecond)
	return ok
}

// The client is ahead at first, and its clock is set back before it has reached the server; later the server's clock, then the client's own, is set
// back and forward, also just after an exchange that is faster than all later ones, and while a reply is on its way. Now never goes back, and is
// right soon.
func TestNeverGoesBack3A(t *testing.T) {
	const back, replying = "Now was ahead of the server's clock", "the test set a wall clock while a reply was on its way"
	const fast = "the test set a wall clock just after an exchange that was faster than all later exchanges"
	cfg := labtest.Config{Nodes: 2, Seeds: 3, Limit: time.Hour, MustCover: []string{back, replying, fast}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		s.Net.CutBoth(1, 2)
		k := newTimekeeping(s, 8*time.Second)
		w := &watch{k: k}
		w.look()
		for range 2 {
			w.set(2, -9*time.Second) // after both it is 10s behind at most (rule 2)
			w.watchFor(2 * time.Second)
		}
		s.Net.Heal()
		q := &questions{s: s, of: k.questions}
		for _, set := range []struct {
			id   labrpc.NodeID
			by   time.Duration
			when string // "" for at any time
		}{
			{id: 2}, {id: 1, by: -5 * time.Second}, {id: 1, by: 3 * time.Second}, {id: 2, by: -10 * time.Second}, {id: 2, by: 7 * time.Second},
			{id: 2, by: -10 * time.Second, when: replying}, {id: 2, by: 10 * time.Second, when: replying},
			{id: 1, by: -10 * time.Second, when: fast},
		} {
			s.Run(time.Duration(s.Rand().Int64N(int64(pollInterval))))
			ok := true
			switch set.when {
			case fast:
				q.both(time.Millisecond)
				ok = q.wait(1)
				q.both(15 * time.Millisecond)
				w.set(set.id, set.by)
			case replying:
				s.Run(100 * time.Millisecond)
				sent := q.replies()
				ok = s.Until(settled, func() bool { return q.replies() > sent })
				w.setAtOnce(set.id, set.by)
			default:
				w.set(set.id, set.by)
			}
			k.last = fmt.Sprintf("at %s, n%d's wall clock jumped by %v", labtest.At(s.Net.Now()), set.id, set.by)
			if ok && set.when != "" {
				s.Cover(set.when)
				k.last += ": " + set.when
			}
			if k.err() > time.Second {
				s.Cover(back)
			}
			w.watchFor(settled)
			k.follow(10*time.Second, ruleFollows)
		}
		// A wall clock is set back by a little less than the time between two calls: its own time has not gone back.
		k.clock.Now()
		for _, every := range []time.Duration{time.Second, 10 * time.Second} {
			before := k.clock.Now()
			s.Run(every / 2)
			s.Net.JumpClock(2, -every*9/10)
			s.Run(every / 2)
			if ran := k.clock.Now().Sub(before); ran < every*3/10 {
				s.Failf(ruleForward, "at %s, Now on n2 has advanced by %v within %v, want at least %v: n2's wall clock was set back by %v between two calls", labtest.At(s.Net.Now()), ran, every, every*3/10, every*9/10)
			}
			w.shown = nil
			w.watchFor(settled)
			k.follow(10*time.Second, ruleFollows)
		}
		const years = 50 * 365 * 24 * time.Hour // no amount is too much
		for _, by := range []time.Duration{-time.Minute, -time.Hour, years, -years} {
			w.set(2, by)
			w.watchFor(10 * time.Second)
			w.set(1, by)
			w.watchFor(10 * time.Second)
		}
		// However rarely or often Now is called: n2's clock is set back, and no answer says so.
		s.Net.CutBoth(1, 2)
		for _, every := range []time.Duration{10 * time.Second, 500 * time.Microsecond} {
			const most = 2000 // calls
			calls := min(most, int(10*time.Second/every))
			if calls == most && s.Seed > 1 {
				break // one seed is enough for what takes long
			}
			before := k.clock.Now()
			s.Net.JumpClock(2, -time.Hour)
			for range calls - 1 {
				s.Run(every)
				k.clock.Now()
			}
			s.Run(every)
			if ran, took := k.clock.Now().Sub(before), time.Duration(calls)*every; ran < took*3/10 {
				s.Failf(ruleForward, "Now on n2 has advanced by %v within %v, want at least %v: it was called every %v, and n2's wall clock was set back by an hour",
					ran, took, took*3/10, every)
			}
		}
	})
}

// A watch reads a clock ten times per second and knows what Now has returned.
type watch struct {
	k     *timekeeping
	shown []time.Time
}

func (w *watch) look() {
	const perSecond = 10
	s, now := w.k.s, w.k.clock.Now()
	if n := len(w.shown); n > 0 && now.Before(w.shown[n-1]) {
		s.Failf(ruleForward, "at %s, Now on n2 has gone back by %v within 100ms", labtest.At(s.Net.Now()), w.shown[n-1].Sub(now))
	}
	w.shown = append(w.shown, now)
	if n := len(w.shown); n > perSecond {
		if ran := now.Sub(w.shown[n-1-perSecond]); ran < 300*time.Millisecond {
			s.Failf(ruleForward, "at %s, Now on n2 has advanced by %v within a second, want at least 300ms", labtest.At(s.Net.Now()), ran)
		}
	}
}

func (w *watch) watchFor(d time.Duration) {
	for began := w.k.s.Net.Now(); w.k.s.Net.Now() < began+d; {
		w.k.s.Run(100 * time.Millisecond)
		w.look()
	}
}

// set sets a wall clock 100 ms later.
func (w *watch) set(id labrpc.NodeID, by time.Duration) {
	w.k.s.Run(100 * time.Millisecond)
	w.setAtOnce(id, by)
}

// setAtOnce sets a wall clock between two calls of Now at one instant. The last look was at least 100 ms ago.
func (w *watch) setAtOnce(id labrpc.NodeID, by time.Duration) {
	w.look()
	before := w.shown[len(w.shown)-1]
	if by != 0 {
		w.k.s.Net.JumpClock(id, by)
	}
	if now := w.k.clock.Now(); now.Before(before) {
		w.k.s.Failf(ruleForward, "Now on n2 went back by %v at %s, when %v's wall clock jumped by %v",
			before.Sub(now), labtest.At(w.k.s.Net.Now()), id, by)
	}
}

// Two clients cannot reach the server at first, and twice again for ten minutes: the second time soon after the server's clock was set. Nothing is
// known before the first exchange; after an outage the clocks are right as soon as after the start.
func TestOutages3A(t *testing.T) {
	cfg := labtest.Config{Nodes: 3, Seeds: 3, Limit: time.Hour}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		s.Net.Isolate(1)
		k := newTimekeeping(s, skew(s))
		setClock(s, 3, time.Until(s.Net.ReadClock(1))+skew(s), 0)
		second := &timekeeping{s: s, clock: clocks.NewSyncedClock(s.Start(3), 1)}
		for range 100 {
			s.Run(time.Second)
			if s.Net.Connected(2, 1) {
				return // minimising left the outage out
			}
			if now, wall := k.clock.Now(), s.Net.ReadClock(2); (now.Sub(wall)).Abs() > time.Millisecond {
				const format = "2006-01-02 15:04:05.000"
				s.Failf(ruleUnknown, "at %s, Now on n2 = %s, want %s, the time of n2's wall clock: no message of the server has arrived",
					labtest.At(s.Net.Now()), now.UTC().Format(format), wall.UTC().Format(format))
			}
			if drift := k.clock.Drift(); drift != 0 {
				s.Failf(ruleDrift, "Drift() = %v on n2, want 0: no message of the server has arrived", drift)
			}
		}
		follow := func() {
			s.Net.Heal()
			s.Run(settled)
			k.follow(10*time.Second, ruleFollows)
			if off := second.err(); off.Abs() > maxError {
				s.Failf(ruleFollows, "at %s, Now on n3 is %s the server's clock, want a difference of at most 25ms", labtest.At(s.Net.Now()), ahead(off))
			}
		}
		follow()
		for _, set := range []time.Duration{0, 10 * time.Second} {
			before := "no wall clock was set after the start"
			if set != 0 {
				s.Net.JumpClock(1, set)
				follow()
				before = fmt.Sprintf("n1's wall clock was set forward by %v, %v before the outage began", set, settled+10*time.Second)
			}
			s.Net.Isolate(1)
			const outage = 10 * time.Minute
			s.Run(outage)
			for i, clock := range []*timekeeping{k, second} {
				if off := clock.err(); off.Abs() > maxError+outage/5000 {
					s.Failf(ruleOutage, "Now on n%d is %s the server's clock after an outage of %v, want a difference of at most %v; %s",
						i+2, ahead(off), outage, maxError+outage/5000, before)
				}
			}
			follow()
		}
	})
}

// Goroutines call Now at once while the wall clock is set forward and back: the result of a call is a lower bound
// for each call that begins after it.
func TestNowManyGoroutines3A(t *testing.T) {
	const callers, rounds, each = 3, 40, 50
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 1}, func(s *labtest.Sim) {
		k := newTimekeeping(s, time.Second)
		s.Run(10 * time.Second)
		var latest, worst atomic.Int64
		call := func() {
			before := latest.Load()
			now := k.clock.Now().UnixNano()
			if now < before {
				worst.Store(max(worst.Load(), before-now))
			}
			for now > before && !latest.CompareAndSwap(before, now) {
				before = latest.Load()
			}
		}
		s.Net.JumpClock(2, time.Millisecond) // once forward and back however the goroutines' calls fall
		call()
		s.Net.JumpClock(2, -time.Millisecond)
		call()
		inParallel(s, callers+1, rounds, each, func(g, i int) {
			if g == callers {
				if by := time.Duration(i/2) * time.Millisecond; i%2 == 0 {
					s.Net.JumpClock(2, by)
				} else {
					s.Net.JumpClock(2, -by)
				}
				k.clock.Drift()
				return
			}
			call()
			call()
		})
		if by := time.Duration(worst.Load()); by > 0 {
			s.Failf(ruleForward, "on n2, Now returned a time that is %v before the result of an earlier call; %d goroutines call Now at once, and the clock of n2 jumps", by, callers)
		}
	})
}

// After an hour the client knows how fast its own clock runs, and has not asked too often. Any two exchanges an hour
// apart suffice: over links of 1 to 20 ms each errs by at most 9.5 ms, both together by 5.3 ppm of an hour.
func TestDriftOverAnHour3A(t *testing.T) {
	const apart = "the two clocks drifted apart by more than 20 ppm"
	cfg := labtest.Config{Nodes: 2, Limit: 2 * time.Hour, MustCover: []string{apart}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		k := newTimekeeping(s, skew(s))
		if math.Abs(k.drift) > 20 {
			s.Cover(apart)
		}
		s.Until(time.Minute, func() bool { return s.Net.Stats(labrpc.Match{From: 1}).Delivered > 0 })
		if drift := k.clock.Drift(); drift != 0 {
			s.Failf(ruleDrift, "Drift() = %v on n2 after the first exchange, want 0", drift)
		}
		s.Run(time.Hour)
		got := k.clock.Drift()
		s.Measure("error of the drift", math.Abs(got-k.drift), "ppm", "≤ 6")
		if !(math.Abs(got-k.drift) <= 6) {
			s.Failf(ruleDrift, "Drift() = %.1f ppm on n2 after an hour, want %.1f ± 6 ppm: n2's wall clock is %s than n1's; n2 has sent %d messages, and in an hour there is time for hundreds",
				got, k.drift, map[bool]string{true: "faster", false: "slower"}[k.drift > 0], s.Net.Stats(labrpc.Match{From: 2}).Sent)
		}
		s.Measure("questions in an hour", float64(s.Net.Stats(k.questions.match()).Sent), "", "")
		k.follow(10*time.Second, ruleFollows)
	})
}
