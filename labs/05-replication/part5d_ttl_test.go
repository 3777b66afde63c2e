package replication_test

import (
	"fmt"
	"time"
)

// longTTLs are just longer than the longest time that a narrow integer holds: in seconds, milliseconds and microseconds, with and without a sign. In such an
// integer each of them is at most a second, or negative.
func longTTLs() (list []time.Duration) {
	for _, unit := range []time.Duration{time.Second, time.Millisecond, time.Microsecond} {
		for _, bits := range []int{15, 16, 31, 32} {
			if ttl := unit<<bits + max(unit, time.Second/2); ttl > 2*time.Second {
				list = append(list, ttl)
			}
		}
	}
	return list
}

// checkLongTTLs: sessions with long TTLs do not expire, also when the leader changes, although their clients send nothing for long (rule 27).
func checkLongTTLs(v *storeCluster, a, b *testClient) {
	key := func(ttl time.Duration) string { return fmt.Sprint("ttl/", ttl) }
	for _, ttl := range longTTLs() {
		c := a.another()
		c.opts.TTL = ttl
		c.dial(nil)
		c.mustRun(command{Op: "own", Key: key(ttl), Data: "1"})
	}
	for range 2 {
		v.s.Run(5 * time.Second)
		for _, ttl := range longTTLs() {
			b.expectValue(key(ttl), "1", ruleSession, fmt.Sprintf("the key belongs to a session of %v whose TTL is %v, and less than a minute has passed", a.id, ttl))
		}
		v.moveLeader()
	}
}
