package consistency_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
)

// Three clients send many requests in one instant: writes of one key each to the leader, reads to every server. Then one client
// writes without a pause, while another reads at every server. Each request is served in time. Each Put has an entry of its own, also the same Put of the same client
// while the first is under way (rules 1 and 4).
func TestManyRequests6A(t *testing.T) {
	const covered = "a server was asked to read while other requests were being served"
	labtest.Run(t, labtest.Config{Nodes: 6, Seeds: 5, MustCover: []string{covered}}, func(s *labtest.Sim) {
		c := newStrongCluster(s, 3)
		leader, _ := c.roles()
		c.writes(c.clients[0], leader, "x", "before")
		var ops []*strongOp
		for i := range 40 {
			for _, client := range c.clients {
				ops = append(ops, c.put(client, leader, fmt.Sprintf("key %d of %v", i, client), fmt.Sprintf("%d of %v", i, client)))
				for _, id := range c.servers {
					ops = append(ops, c.read(client, id, "Get", "x"))
				}
				ops = append(ops, c.read(client, leader, "LogGet", "x"))
			}
		}
		// The same Put again while the first is under way: two writes.
		for i := range 3 {
			ops = append(ops, c.put(c.clients[i], leader, "equal", "equal"))
			s.Run(time.Millisecond)
			ops = append(ops, c.put(c.clients[i], leader, "equal", "equal"))
		}
		s.Run(servesLimit)
		indexes := map[int]*strongOp{}
		for _, op := range ops {
			c.doneInTime(op)
			if other := indexes[op.Index]; op.write() && other != nil {
				s.Failf(ruleIndex, "%v and %v have the same Index, %d, want an Index of its own for each", other, op, op.Index)
			}
			indexes[op.Index] = op
		}
		for i := range 40 {
			for _, client := range c.clients {
				c.sees(client, c.servers[i%3], "Get", fmt.Sprintf("key %d of %v", i, client), fmt.Sprintf("%d of %v", i, client))
			}
		}
		c.checkStrong()

		// No pause between writes.
		rounds := 0
		for end, next := s.Net.Now()+3*time.Second, s.Net.Now(); s.Net.Now() < end; next += 5 * time.Millisecond {
			ops = append(ops, c.put(c.clients[0], leader, "busy", fmt.Sprint(next)))
			if (next/(5*time.Millisecond))%20 == 0 {
				for _, id := range c.servers {
					get := c.read(c.clients[1], id, "Get", "x")
					ops = append(ops, get)
					s.Cover(covered)
				}
				rounds++
			}
			s.Run(next + 5*time.Millisecond - s.Net.Now())
		}
		s.Run(servesLimit)
		for _, op := range ops {
			c.doneInTime(op)
		}
	})
}

// doneInTime checks that a request was Done within the limit of rule 4. It does not wait.
func (c *strongCluster) doneInTime(op *strongOp) {
	if !op.Over || !op.Done || op.Return-op.Call > servesLimit {
		c.s.Fail(labtest.Violation{What: fmt.Sprintf("%v, want it to be done within %v", op, servesLimit), Rule: ruleServes, Nodes: c.s.Net.Nodes(), At: op.Return})
	}
}

// Keys and values are any strings: empty, long, with spaces, slashes and letters of other alphabets. A Put of the value
// that the key has is a write like any other (rules 1 and 4).
func TestAnyString6A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 3}, func(s *labtest.Sim) {
		c := newStrongCluster(s, 3)
		a, b := c.clients[0], c.clients[1]
		leader, others := c.roles()
		for _, key := range anyStrings {
			c.sees(b, leader, "Get", key, "")
			first := c.writes(a, leader, key, "first "+key)
			again := c.writes(b, leader, key, "first "+key)
			if again.Index <= first.Index {
				s.Failf(ruleIndex, "%v has Index %d, and %v, which came later, has Index %d, want a higher one", first, first.Index, again, again.Index)
			}
			c.sees(b, others[0], "Get", key, "first "+key)
			c.writes(a, leader, key, "")
			c.sees(b, others[1], "Get", key, "")
			c.sees(b, leader, "LogGet", key, "")
			for _, value := range anyStrings {
				c.writes(a, leader, key, value)
				c.sees(b, leader, "Get", key, value)
			}
		}
		c.writes(a, leader, "x", veryLong)
		c.sees(b, leader, "Get", "x", veryLong)
	})
}

// veryLong is longer than a length of 16 bits can say.
var veryLong = strings.Repeat("very long ", 7000)

// anyStrings are strings that a program may treat in a way of its own, but must not.
var anyStrings = []string{"", " ", "x", "version", "item/x", "X", "a=b,c:d|e\n{}", "Zürich ✓ 東京", strings.Repeat("long ", 2000)}
