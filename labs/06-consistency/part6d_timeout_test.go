package consistency_test

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	consistency "distlabs/labs/06-consistency"
)

// Answers count until Timeout, and a request does not fail before: replicas that are slow, or that are cut off and come back
// while a request is under way, are enough. So are replicas that were down during many earlier requests. Wall clocks that jump meanwhile do not matter. Many
// requests at once, of which each waits for a replica that is down, delay no other request (rules 23 and 26).
func TestLateAnswersCount6D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 8, Seeds: 4}, func(s *labtest.Sim) {
		q := newQuorumStore(s, 2)
		a, b := q.first, q.first+1
		jump := time.Duration(s.Seed%2*2-1) * time.Hour
		q.put(a, "x", all)
		s.Run(2 * quorumTimeout)

		// A read needs one answer from each replica, a write needs two.
		slow := func(roundTrip time.Duration) {
			for _, id := range q.replicas {
				s.Net.SetLink(b, id, labrpc.Link{Latency: labrpc.Fixed(roundTrip / 2)})
				s.Net.SetLink(id, b, labrpc.Link{Latency: labrpc.Fixed(roundTrip / 2)})
			}
		}
		for _, level := range []consistency.Level{one, quorum, all} {
			slow(quorumTimeout * 9 / 10)
			get := q.goGet(b, "x", consistency.ReadOptions{Level: level})
			s.Run(quorumTimeout / 4)
			s.Net.JumpClock(b, jump)
			q.mustDo(get)
			slow(quorumTimeout * 9 / 20)
			put := q.goPut(b, "y", q.value(), level)
			s.Run(quorumTimeout / 4)
			s.Net.JumpClock(b, -jump)
			q.mustDo(put)
			q.repairsInTime(b, level)
		}

		slow(10 * time.Millisecond)
		for _, level := range []consistency.Level{one, quorum, all} {
			for _, write := range []bool{false, true} {
				s.Run(2 * quorumTimeout)
				if q.reaches(b, q.replicas[:min(level.Required(5)-1, 3)]...); level == all {
					q.reaches(b, q.replicas[:4]...)
				}
				key := fmt.Sprint(level, " again")
				call := q.goGet(b, "x", consistency.ReadOptions{Level: level})
				if write {
					call = q.goPut(b, key, q.value(), level)
				}
				s.Run(quorumTimeout * 6 / 10)
				s.Net.JumpClock(b, jump)
				q.reaches(b, q.replicas...)
				cell := q.mustDo(call)
				if !write {
					continue
				}
				s.Run(call.began + quorumTimeout - s.Net.Now())
				for _, id := range q.replicas {
					if got := q.peek(id, key); got.Value != cell.Value {
						s.Failf(ruleReaches, "after %s, %v has %s at %v, want %s: the coordinator could reach it from %v after the call on", call.what, id, quorumCell(got), labtest.At(s.Net.Now()), quorumCell(cell), quorumTimeout*6/10)
					}
				}
			}
		}
		q.oneIsFast(a)
		q.comesBack(a)
		if wide(s) {
			q.manyPuts(a)
		}
		if s.Seed%2 == 0 {
			q.asksToTheEnd(b)
		}
	})
}

// repairsInTime reads what one replica has and all others of the level lack. There is time for one Fetch and one Store per replica, so the read
// sends its Stores at once: those that wait for each other are too late (rules 23 and 27).
func (q *quorumStore) repairsInTime(via labrpc.NodeID, level consistency.Level) {
	if level == one {
		return
	}
	key := fmt.Sprint("behind at ", level)
	need := q.replicas[:level.Required(len(q.replicas))]
	older := consistency.Cell{Value: "older", Timestamp: consistency.Timestamp{Counter: 1, Node: via}}
	newer := consistency.Cell{Value: "newer", Timestamp: consistency.Timestamp{Counter: 2, Node: via}}
	for _, id := range need {
		q.store(id, key, older)
	}
	q.store(need[0], key, newer)
	q.reaches(via, need...)
	q.want(ruleRepairs, q.goGet(via, key, consistency.ReadOptions{Level: level}), newer, need[0].String()+" has it, and each reply takes less than half of Timeout")
	q.reaches(via, q.replicas...)
}

// asksToTheEnd makes requests whose Timeout is 240 times as long as Retry. A replica that the coordinator can reach in the last third of it is asked within a
// Retry, however often it was asked in vain (rules 23 and 26).
func (q *quorumStore) asksToTheEnd(via labrpc.NodeID) {
	s := q.s
	s.Net.Crash(via)
	q.timeout = 240 * quorumRetry
	q.start(via)
	q.reaches(via, q.replicas[0])
	wrote := q.put(via, "long one", one)
	call := q.goGet(via, "x", consistency.ReadOptions{Level: quorum})
	s.Run(call.began + q.timeout*2/3 - time.Second - s.Net.Now())
	q.reaches(via, q.replicas...)
	if !s.Until(2*quorumRetry, call.done) {
		s.Failf(ruleLevels, "%s, called at %v, has not returned at %v, %v after the coordinator could reach all replicas, want them to be asked every %v",
			call.what, labtest.At(call.began), labtest.At(s.Net.Now()), 2*quorumRetry, quorumRetry)
	}
	q.mustDo(call)
	s.Run(2 * quorumRetry)
	for _, id := range q.replicas {
		if got := q.peek(id, "long one"); got != wrote {
			s.Failf(ruleReaches, "%v has %s at %v, want %s: the coordinator can reach it, and Timeout is not over",
				id, quorumCell(got), labtest.At(s.Net.Now()), quorumCell(wrote))
		}
	}
}

// oneIsFast writes at ONE. The write returns when the first replica has it, although the other replicas will answer too. These get it all the same (rules 23 and 26).
func (q *quorumStore) oneIsFast(via labrpc.NodeID) {
	s := q.s
	for _, id := range q.replicas[1:] {
		s.Net.SetLink(via, id, labrpc.Link{Latency: labrpc.Fixed(quorumTimeout / 4)})
	}
	away := q.replicas[4]
	s.Net.CutBoth(via, away)
	call := q.goPut(via, "fast", q.value(), one)
	wrote := q.mustDo(call)
	if took := call.ended - call.began; took > quorumTimeout/4 {
		s.Failf(ruleLevels, "%s took %v, want less than %v: n1 answers within 40ms", call.what, took, quorumTimeout/4)
	}
	s.Run(call.began + quorumTimeout*6/10 - s.Net.Now())
	s.Net.HealBoth(via, away)
	s.Run(call.began + quorumTimeout - s.Net.Now())
	for _, id := range q.replicas {
		if got := q.peek(id, "fast"); got != wrote {
			s.Failf(ruleReaches, "after %s, %v has %s at %v, want %s", call.what, id, quorumCell(got), labtest.At(s.Net.Now()), quorumCell(wrote))
		}
	}
}

// comesBack writes at QUORUM while one replica is down and another one is cut off, until none of these writes asks the two any more. Then both are there again, and
// the next requests at ALL succeed at once: what a replica did not reply to before does not count (rule 23).
func (q *quorumStore) comesBack(via labrpc.NodeID) {
	s := q.s
	q.reaches(via, q.replicas...)
	for _, id := range q.replicas {
		s.Net.SetLink(via, id, labrpc.Link{Latency: labrpc.Fixed(time.Millisecond)})
		s.Net.SetLink(id, via, labrpc.Link{Latency: labrpc.Fixed(time.Millisecond)})
	}
	down, away := q.replicas[3], q.replicas[4]
	s.Net.Crash(down)
	s.Net.CutBoth(via, away)
	const puts = 12
	for range puts {
		q.put(via, "down", quorum)
	}
	s.Run(quorumTimeout * 3 / 2)
	q.start(down)
	s.Net.HealBoth(via, away)
	s.Run(quorumRetry)
	for _, call := range []*quorumCall{
		q.goPut(via, "down", q.value(), all), q.goGet(via, "x", consistency.ReadOptions{Level: all}),
	} {
		if _, err := q.wait(call); err != nil {
			s.Fail(labtest.Violation{
				What: fmt.Sprintf("%s, called at %v, failed with the error %q, although all replicas were up and connected to %v: %v was down and %v was cut off during %d earlier Puts, until %v before the call",
					call.what, labtest.At(call.began), err, via, down, away, puts, quorumRetry),
				Rule: ruleLevels, Nodes: []labrpc.NodeID{via, down, away},
			})
		}
	}
}

// manyPuts makes 250 Puts at once while one replica is down, so that each of them asks this replica until Timeout. A Get at ONE meanwhile returns with the first
// reply, and each of the Puts succeeds (rule 23).
func (q *quorumStore) manyPuts(via labrpc.NodeID) {
	s := q.s
	s.Run(2 * quorumTimeout)
	s.Net.Crash(q.replicas[4])
	const puts = 250
	var calls []*quorumCall
	for i := range puts {
		calls = append(calls, q.goPut(via, fmt.Sprint("one of many ", i), "v", quorum))
		s.Run(time.Microsecond)
	}
	s.Run(quorumTimeout / 4)
	get := q.goGet(via, "x", consistency.ReadOptions{Level: one})
	if !s.Until(quorumTimeout/4, get.done) {
		s.Failf(ruleLevels, "%s, called at %v, had not returned %v later, although four of five replicas reply within 10ms: its coordinator had begun %d Puts before, and %v was down",
			get.what, labtest.At(get.began), quorumTimeout/4, puts, q.replicas[4])
	}
	q.mustDo(get)
	for _, call := range calls {
		q.mustDo(call)
	}
	q.start(q.replicas[4])
	s.Run(2 * quorumTimeout)
}
