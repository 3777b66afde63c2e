package consistency_test

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	consistency "distlabs/labs/06-consistency"
)

// Three replicas, a client that writes through n4 and one that reads through n5 ("grade play 6D"). After every step, what each read
// has returned must be as new as its level promises.
func TestPlay6D(t *testing.T) {
	labtest.Play(t, labtest.SearchSpace{Nodes: 5, MaxWait: 2 * time.Second}, func(s *labtest.Sim) labtest.Scenario {
		p := &playedQuorum{
			quorumStore: stoppedQuorumStore(s, 3),
			levels:      map[*quorumCall]consistency.Level{},
		}
		s.Always(p.check)
		scenario := labtest.Scenario{Start: p.boot, Puzzles: quorumPuzzles(p)}
		for _, level := range []consistency.Level{one, quorum, all} {
			scenario.Actions = append(scenario.Actions,
				labtest.Action{Name: fmt.Sprintf("n4 writes x at %v", level), Can: func() bool { return s.Net.Up(4) }, Do: func() { p.put(level) }},
				labtest.Action{Name: fmt.Sprintf("n5 reads x at %v", level), Can: func() bool { return s.Net.Up(5) }, Do: func() { p.get(level) }})
		}
		return scenario
	})
}

// A playedQuorum is a store with what its clients have called.
type playedQuorum struct {
	*quorumStore
	puts, gets []*quorumCall
	levels     map[*quorumCall]consistency.Level
}

func (p *playedQuorum) put(level consistency.Level) {
	value := p.value()
	call := p.begin(4, fmt.Sprintf("Put(x=%s) at %v", value, level), func(c *consistency.Coordinator) (consistency.Cell, error) {
		timestamp, err := c.Put("x", value, level)
		return consistency.Cell{Value: value, Timestamp: timestamp}, err
	})
	p.puts, p.levels[call] = append(p.puts, call), level
}

func (p *playedQuorum) get(level consistency.Level) {
	call := p.begin(5, fmt.Sprintf("Get(x) at %v", level), func(c *consistency.Coordinator) (consistency.Cell, error) {
		return c.Get("x", consistency.ReadOptions{Level: level})
	})
	p.gets, p.levels[call] = append(p.gets, call), level
}

// end returns what a call has returned, and whether it has.
func (call *quorumCall) end() (cell consistency.Cell, over bool, err error) {
	call.mu.Lock()
	defer call.mu.Unlock()
	return call.cell, call.over, call.err
}

// pairs calls f with each read that has succeeded, and each write that had succeeded before the read began.
func (p *playedQuorum) pairs(f func(put, get *quorumCall, wrote, got consistency.Cell) bool) bool {
	for _, get := range p.gets {
		got, over, err := get.end()
		if !over || err != nil {
			continue
		}
		for _, put := range p.puts {
			wrote, over, err := put.end()
			if over && err == nil && put.ended < get.began && f(put, get, wrote, got) {
				return true
			}
		}
	}
	return false
}

// check checks rule 24.
func (p *playedQuorum) check() (v *labtest.Violation) {
	p.pairs(func(put, get *quorumCall, wrote, got consistency.Cell) bool {
		w, r, n := p.levels[put].Required(len(p.replicas)), p.levels[get].Required(len(p.replicas)), len(p.replicas)
		if w+r > n && quorumCompare(got.Timestamp, wrote.Timestamp) < 0 {
			v = &labtest.Violation{
				What: fmt.Sprintf("%s returned %s, but %s had returned %s before", get.what, quorumCell(got), put.what, quorumCell(wrote)),
				Rule: ruleOverlap, Nodes: []labrpc.NodeID{put.via, get.via},
			}
		}
		return v != nil
	})
	return v
}

// storesOf is how many Store requests of a coordinator have arrived.
func (p *playedQuorum) storesOf(id labrpc.NodeID) int {
	return p.s.Net.Stats(labrpc.Match{From: id, Method: "Store", Kind: labrpc.Request}).Delivered
}

// quorumPuzzles are the puzzles of part D.
func quorumPuzzles(p *playedQuorum) []labtest.Puzzle {
	return []labtest.Puzzle{
		{
			ID: "stale", Title: "The price of ONE",
			Goal: "Have a Put succeed, and a Get that begins afterwards return an older value, or none.",
			Hints: []string{
				"A Put at ONE needs a reply from one replica. Which replica does the Get ask, and whose reply comes first?",
				"Let time pass between the two: the Get must begin after the Put has returned. Deliver the Get's Fetch to a replica that the write has not reached.",
			},
			Solution: "s0.d0.d2.d2.d4.w.s1.d7.d8",
			Reached: func() bool {
				return p.pairs(func(_, _ *quorumCall, wrote, got consistency.Cell) bool {
					return quorumCompare(got.Timestamp, wrote.Timestamp) < 0
				})
			},
		},
		{
			ID: "repair", Title: "The reader repairs",
			Goal: "Have a Get at QUORUM return a value that only one of the three replicas had when the Get began.",
			Hints: []string{
				"The Get may return the value only when a majority has it. So what does it do first?",
				"Write at ONE, and deliver one Store. Then read at QUORUM: deliver the Fetch to the replica with the value and to another one, and then the Store that n5 sends.",
			},
			Solution: "s0.d0.d2.d2.d4.w.s3.d6.d6.d7.d7.d8.d9.d7.d8",
			Reached: func() bool {
				return p.storesOf(4) == 1 && p.storesOf(5) > 0 && p.pairs(func(_, get *quorumCall, wrote, got consistency.Cell) bool {
					return p.levels[get] == quorum && got == wrote
				})
			},
		},
		{
			ID: "failed", Title: "It failed, and there it is",
			Goal: "Have a Put return ErrUnavailable, and a Get return its value all the same.",
			Hints: []string{
				"ErrUnavailable says that too few replicas have replied in time. It does not say that the value is nowhere.",
				"Write at QUORUM and deliver one Store only. Let time pass until the Put returns, then read at ONE.",
			},
			Solution: "s2.d0.d0.d1.d1.d1.w.w.w.w.w.w.w.w.w.w.w.s1.d44.d46",
			Reached: func() bool {
				failed := map[string]bool{}
				for _, put := range p.puts {
					if cell, over, err := put.end(); over && err != nil {
						failed[cell.Value] = true
					}
				}
				for _, get := range p.gets {
					if cell, over, err := get.end(); over && err == nil && failed[cell.Value] {
						return true
					}
				}
				return false
			},
		},
		{
			ID: "overlap", Title: "Two majorities",
			Goal: "Have a Put at QUORUM succeed, and a Get at QUORUM that begins afterwards return an older value.",
			Hints: []string{
				"Draw three circles. Mark the two that have replied to the Store, and the two that the Get asks.",
			},
			Rules: []string{
				"A request at ONE returns with the first reply (rule 23)",
				"If the levels of a write and of a later read together require more than N replicas, the read returns that write or a newer one (rule 24)",
				"The coordinator sends its cell to all N replicas, whatever the level (rule 26)",
				"No two Puts of a key have the same timestamp (rule 25)",
			},
			Forbid: 1,
		},
	}
}
