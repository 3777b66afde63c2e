package transactions_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

// What the crash tests meet.
const (
	coverInCommit   = "a crash interrupted a Commit"
	coverBetween    = "a crash came when several transactions had committed and the next had not"
	coverInRecovery = "a crash interrupted a recovery"
	coverShownEarly = "a crash interrupted a Commit that others waited for"
)

// A change is what a transaction of the crash tests writes: nil deletes.
type change map[string]*string

func text(s string) *string { return &s }

// crashChanges are the transactions that commit one after another. The last fits into no single record.
func crashChanges() []change {
	big := change{"x": nil, "w": text("last")}
	for i := range 12 {
		big[fmt.Sprintf("k%02d", i)] = text(fmt.Sprintf("new%d%s", i, strings.Repeat("ñ", 75)))
	}
	return []change{
		{"x": text("1"), "y": text("1"), "z": nil},
		{"x": text("2"), "y": nil, "new": text("2")},
		big,
	}
}

// apply makes a change to a state.
func (c change) apply(state map[string]string) map[string]string {
	next := maps.Clone(state)
	for key, value := range c {
		delete(next, key)
		if value != nil {
			next[key] = *value
		}
	}
	return next
}

// crashAtEveryWrite commits transactions one after another, and crashes the node at one disk write after another, in half of the cases once more during
// the recovery. Another transaction has written and not committed. What is there after the restart is what some of the transactions wrote: the first so
// many, all whose Commit returned nil, and at most one more.
func (d *db) crashAtEveryWrite() {
	s := d.s
	if s.Seed%2 == 0 { // first, while the log's numbers are small
		d.crashAfterMany()
	} else {
		d.crashesTwice()
	}
	d.clockJumpsBack()
	start := map[string]string{"x": "0", "y": "0", "z": "0"}
	for i := range 12 {
		start[fmt.Sprintf("k%02d", i)] = fmt.Sprint("old", i)
	}
	// A store that writes in the background does not make the same writes each time: the end comes when no crash has come before the last Commit for some rounds.
	for n, after := 0, 0; ; n++ {
		d.clear(start)
		s.Net.CrashAtWrite(1, labrpc.CrashPoint{Write: s.Net.Writes(1) + 1 + n/2, After: n%2 == 1})
		states := []map[string]string{start}
		sure := 0
		d.bystander()
		for _, c := range crashChanges() {
			if !s.Net.Up(1) {
				break
			}
			states = append(states, c.apply(states[len(states)-1]))
			if d.commits(c) {
				sure++
			}
		}
		s.Until(time.Second, func() bool { return !s.Net.Up(1) })
		over := s.Net.Up(1)
		if !over {
			d.crashed()
			if sure < len(states)-1 {
				s.Cover(coverInCommit)
			}
			if sure > 1 {
				s.Cover(coverBetween)
			}
		}
		s.Net.CrashAtWrite(1, labrpc.CrashPoint{})
		d.recoverWithCrash(n)
		d.isOneOf(states[sure:])
		if after++; sure < len(crashChanges()) {
			after = 0
		}
		if over && after > 5 || after > 40 {
			return
		}
	}
}

// crashesTwice crashes the node in a large Commit. After the restart a small transaction commits at once, and the node crashes again, at one of the
// next writes. What the first crash has left in the log does not mix with what is new there.
func (d *db) crashesTwice() {
	large, small := crashChanges()[2], change{"a": text("1")}
	before := map[string]string{"a": "0"}
	crashIn := func(write int) {
		d.s.Net.CrashAtWrite(1, labrpc.CrashPoint{Write: d.s.Net.Writes(1) + 1 + write, After: true})
	}
	restart := func() {
		if d.s.Until(50*time.Millisecond, func() bool { return !d.s.Net.Up(1) }) {
			d.crashed()
		} else {
			d.crash()
		}
		d.s.Net.CrashAtWrite(1, labrpc.CrashPoint{})
		d.start()
	}
	for n := range 4 * 8 {
		d.clear(before)
		states := []map[string]string{large.apply(before)}
		crashIn(n / 8)
		if !d.commits(large) {
			states = append(states, before)
		}
		restart()
		crashIn(n % 8)
		sure := d.commits(small)
		for i, state := range states {
			states[i] = small.apply(state)
			if !sure {
				states = append(states, state)
			}
		}
		restart()
		d.isOneOf(states)
	}
}

// clockJumpsBack sets the wall clock back between two Commits that write one key, while the node is up or while it is down. Then the node crashes
// while the log may still have both, and the later Commit counts: the wall clock does not say which one it was.
func (d *db) clockJumpsBack() {
	for _, down := range []bool{false, true} {
		d.clear(map[string]string{"x": "0"})
		commits := func(c change) {
			if !d.commits(c) {
				d.s.Failf(d.rules.quick, "Commit of %s, beside which no other transaction ran, had not returned nil at %v", d.txns[len(d.txns)-1].name, labtest.At(d.s.Net.Now()))
			}
		}
		commits(crashChanges()[2]) // so large that what comes after it is in the log for long
		commits(change{"x": text("earlier")})
		when := "was up"
		if down {
			when = "was down"
			d.crash()
		}
		at := d.s.Net.Now()
		d.s.Net.JumpClock(1, -time.Hour)
		if down {
			d.start()
		}
		commits(change{"x": text("later")})
		d.crash()
		d.start()
		t := d.beginTx()
		c := t.now(d.rules.quick, t.goGet("x"))
		t.commit()
		if c.value != "later" {
			d.s.Fail(labtest.Violation{
				What: fmt.Sprintf("after a crash and a restart, %s of %s returned %s at %v, want \"later\", from the Commit that came last", c.what, t.name, c.result(), labtest.At(c.ended)),
				Rule: d.rules.last, Seen: []string{fmt.Sprintf("the wall clock of the node was set back by 1h at %v, before that Commit, while the node %s", labtest.At(at), when)},
			})
		}
	}
}

// bystander begins a transaction, which does not commit, and writes two keys in it. The node may crash meanwhile.
func (d *db) bystander() {
	t := d.beginTx()
	put := t.goPut("u1", "uncommitted")
	if !d.made(put) {
		return
	}
	t.isNil(d.rules.quick, put)
	if deleted := t.goDelete("u2"); d.made(deleted) {
		t.isNil(d.rules.quick, deleted)
	}
}

// made waits for a write, which must return without waiting for others. It reports false if the node has crashed.
func (d *db) made(write *call) bool {
	d.run(time.Microsecond)
	if !d.s.Net.Up(1) {
		return false
	}
	d.wait(d.rules.quick, quickly, write)
	return true
}

// crashAfterMany commits more than a hundred transactions without a pause, all of which write one key, and crashes the node: the log has many
// of them, and the last one counts, in whatever way the log numbers them.
func (d *db) crashAfterMany() {
	const last = 105
	for i := range last + 1 {
		if !d.commits(change{"x": text(fmt.Sprint(i))}) {
			d.s.Failf(d.rules.quick, "Commit of transaction %d of a client that is alone has not returned nil", i)
		}
	}
	d.crash()
	d.start()
	d.isOneOf([]map[string]string{{"x": fmt.Sprint(last)}})
}

// clear makes the store have exactly these pairs, in a state of rest.
func (d *db) clear(pairs map[string]string) {
	t := d.beginTx()
	c := t.now(d.rules.quick, t.goScan("", ""))
	for _, p := range c.pairs {
		if _, stays := pairs[p.Key]; !stays {
			t.delete(p.Key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		t.put(key, pairs[key])
	}
	t.commit()
	d.run(time.Second)
}

// commits commits a change, and reports whether Commit returned nil.
func (d *db) commits(c change) bool {
	t := d.beginTx()
	for _, key := range slices.Sorted(maps.Keys(c)) {
		var op *call
		if c[key] == nil {
			op = t.goDelete(key)
		} else {
			op = t.goPut(key, *c[key])
		}
		if !d.made(op) {
			return false
		}
	}
	commit := t.goCommit()
	d.s.Until(time.Second, func() bool { return commit.over() || !d.s.Net.Up(1) })
	d.observe()
	return t.outcome == committed
}

// recoverWithCrash starts the node. If n is odd, it crashes at some write of the recovery, and is started again.
func (d *db) recoverWithCrash(n int) {
	d.s.Net.Crash(1)
	if n%2 == 1 {
		ended := d.begin()
		d.s.Net.CrashAtWrite(1, labrpc.CrashPoint{Write: 1 + n/2%7, After: n%4 == 1})
		d.s.Until(time.Second, func() bool { return ended() || !d.s.Net.Up(1) })
		d.s.Run(soon)
		onlyReads := d.s.Net.Writes(1) == 0 // it cleans up later
		if onlyReads {
			d.s.Until(openIn, func() bool { return !d.s.Net.Up(1) })
		}
		if onlyReads || !d.s.Net.Up(1) {
			d.s.Cover(coverInRecovery)
		}
		d.crash()
	}
	d.start()
}

// isOneOf checks the state after a restart: that after the transactions which are sure, or one more.
func (d *db) isOneOf(states []map[string]string) {
	t := d.beginTx()
	c := t.now(d.rules.quick, t.goScan("", ""))
	t.commit()
	got := pairText(c.pairs)
	for _, state := range states {
		if got == "["+modelText(state, "", "")+"]" {
			return
		}
	}
	have := map[string]string{}
	for _, p := range c.pairs {
		have[p.Key] = p.Value
	}
	before, after := states[0], states[len(states)-1]
	what, rule := "some keys have the values from before the interrupted transaction and some those from after", d.rules.whole
	var seen []string
	for _, key := range slices.Sorted(maps.Keys(merged(have, merged(before, after)))) {
		got, ok := have[key]
		old, was := before[key]
		now, is := after[key]
		if got == old && ok == was && got == now && ok == is {
			continue
		}
		line := fmt.Sprintf("key %s: %s after the restart; %s after the last Commit that returned nil", key, valueText(got, ok), valueText(old, was))
		if len(states) > 1 {
			line += fmt.Sprintf("; %s if the interrupted Commit took effect", valueText(now, is))
		}
		seen = append(seen, line)
		switch {
		case got == old && ok == was, got == now && ok == is:
		case strings.HasPrefix(key, "u"):
			what, rule = fmt.Sprintf("the key %s has %s, although the transaction that wrote this value had not committed", key, valueText(got, ok)), d.rules.whole
		default:
			what, rule = fmt.Sprintf("the key %s has %s, which the last transaction that committed did not leave there", key, valueText(got, ok)), d.rules.durable
		}
	}
	d.s.Fail(labtest.Violation{
		What: fmt.Sprintf("after a crash and a restart at %v, %s", labtest.At(d.s.Net.Now()), what),
		Rule: rule, Seen: seen[:min(len(seen), 8)],
	})
}

// valueText writes the value of a key, if there is one.
func valueText(value string, ok bool) string {
	if !ok {
		return "no value"
	}
	return labtest.Quote(value)
}

func merged(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}
