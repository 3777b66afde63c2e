package labtest

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"distlabs/internal/harness/explore"
	"distlabs/internal/harness/report"
	"distlabs/internal/harness/seeded"
	"distlabs/labrpc"
)

// A schedule is one run of a scenario: the scheduler of its network.
type schedule struct {
	s        *Sim
	space    *SearchSpace
	strategy explore.Strategy
	scenario Scenario
	seen     map[uint64]struct{} // states, of all schedules; nil where they are not counted
	record   bool                // keep taken and tokens
	free     bool                // no bound on its length and its faults, and all sorts of step: it is written, or a person plays

	ready atomic.Bool
	over  bool
	done  chan struct{}

	// mu guards stopped, and with it what the search reads when a schedule is over: depth, taken, tokens and seen. The
	// network's own goroutine writes them, and may still run if the bubble was abandoned.
	mu      sync.Mutex
	stopped bool

	depth   int
	waited  time.Duration // when the last step was to wait, when it began
	waits   bool
	used    [3]int                 // losses, copies, crashes
	down    map[labrpc.NodeID]bool // these stay down until a step starts them again
	paused  map[labrpc.NodeID]pause
	view    glance // what a person is shown, if free
	starts  time.Duration
	choices []explore.Choice
	message []int // of each choice: which pending one
	taken   []explore.Choice
	tokens  []explore.Token
}

// runSchedule runs the scenario once. It does what runWith does for a seed, at the least cost that there is: a search makes thousands.
func (x *exploration) runSchedule(c *schedule, seed uint64, observe func(labrpc.Event)) *outcome {
	s := &Sim{
		Seed: seed, cfg: x.cfg, rand: rand.New(rand.NewPCG(seed, 0x7e57)), bites: x.bites, measures: x.measures,
		exploring: true, where: x.where, recorder: x.recorder,
	}
	c.s, c.space, c.free = s, &x.space, c.free || x.search.script != nil
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer s.explainBubble()
		synctest.Test(x.t, func(*testing.T) { s.liveScheduled(c, x.setup, observe) })
	}()
	finished := true
	if x.playing {
		<-over // a person takes all the time in the world
	} else {
		finished = s.watch(over, x.until)
	}
	c.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	return &outcome{seed: seed, failure: s.failure, failedAt: s.failedAt, nodes: s.nodes, abandoned: !finished}
}

// liveScheduled is the first function of the bubble.
func (s *Sim) liveScheduled(c *schedule, setup func(*Sim) Scenario, observe func(labrpc.Event)) {
	c.done = make(chan struct{}) // of the bubble
	bubble := seeded.Bubble()
	s.body = goroutineID()
	s.bubble.Store(bubble)
	seeded.Begin(bubble, s.Seed)
	defer seeded.End(bubble)
	if observe != nil {
		observe = s.onlyBody(observe)
	}
	s.began = time.Now()
	s.Net = labrpc.New(labrpc.Options{Seed: s.Seed, Nodes: c.space.Nodes, Observe: observe, Scheduler: c})
	s.net.Store(s.Net)
	s.runBody(func(s *Sim) {
		c.scenario = setup(s)
		for n := range c.space.Nodes {
			// Each node's timers have a phase of their own.
			time.Sleep(time.Duration(1 + phase(s.Seed, n)%999))
			c.scenario.Start(s.Net.Start(labrpc.NodeID(n + 1)))
		}
		s.Net.Run(0)
		c.ready.Store(true)
		<-c.done
	})
	s.ending.Store(true)
	s.Net.Close()
}

func phase(seed uint64, n int) uint64 {
	return rand.NewPCG(seed, uint64(n)).Uint64()
}

// Next is the scheduler: it looks whether a rule is broken, and has the strategy pick a step.
func (c *schedule) Next(pending []labrpc.Pending) labrpc.Step {
	switch {
	case c.over:
		return labrpc.Step{Do: labrpc.Wait, Limit: time.Hour}
	case !c.ready.Load():
		c.starts += 10 * time.Microsecond
		return labrpc.Step{Do: labrpc.Wait, Limit: c.starts}
	case c.restart():
		return labrpc.Step{Do: labrpc.Settle}
	case !c.holds() || !c.free && c.scenario.Done != nil && c.scenario.Done():
		return c.finish()
	case c.scenario.BeforeStep != nil && c.scenario.BeforeStep():
		return labrpc.Step{Do: labrpc.Settle}
	}
	state := c.count(pending)
	waited := c.waits && c.s.Net.Now()-c.waited >= c.space.MaxWait
	c.waits = false
	if !c.free && (c.depth >= c.space.Depth || waited && len(pending) == 0) {
		return c.finish()
	}
	if c.free {
		c.view = c.glance()
	}
	c.offer(pending)
	if s, ok := c.strategy.(explore.StateReader); ok {
		s.At(state)
	}
	i := c.strategy.Pick(c.depth, c.choices)
	if i < 0 {
		return c.finish()
	}
	c.log(i)
	return c.take(i, pending)
}

// log records the step that was picked.
func (c *schedule) log(i int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return
	}
	if c.record {
		c.taken, c.tokens = append(c.taken, c.choices[i]), append(c.tokens, explore.TokenOf(c.choices, i))
	}
	c.depth++
}

// stop ends the recording: what was recorded may be read from now on.
func (c *schedule) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
}

// finish lets the body end.
func (c *schedule) finish() labrpc.Step {
	c.over = true
	close(c.done)
	return labrpc.Step{Do: labrpc.Settle}
}

// restart starts the nodes that are down, and reports whether there were any.
func (c *schedule) restart() (some bool) {
	if c.used[2] == 0 {
		return false
	}
	for n := range c.space.Nodes {
		if id := labrpc.NodeID(n + 1); !c.down[id] && !c.s.Net.Up(id) {
			c.scenario.Start(c.s.Net.Start(id))
			some = true
		}
	}
	return some
}

// holds reports whether no rule is broken.
func (c *schedule) holds() bool {
	for _, check := range c.s.checks {
		if c.s.stop.Load() {
			return false
		}
		if v := check(); v != nil {
			c.s.failWith(report.Rule, *v, c.s.where)
		}
	}
	return !c.s.stop.Load()
}

// offer lists what may happen next.
func (c *schedule) offer(pending []labrpc.Pending) {
	c.choices, c.message = c.choices[:0], c.message[:0]
	add := func(act explore.Act, i int) {
		p := &pending[i]
		c.choices = append(c.choices, explore.Choice{
			Act: act, Node: p.To, From: p.From, Method: p.Method, Kind: p.Kind, Number: p.Number, Copies: p.Copy,
		})
		c.message = append(c.message, i)
	}
	for i := range pending {
		add(explore.Deliver, i)
	}
	c.choices, c.message = append(c.choices, explore.Choice{Act: explore.Wait}), append(c.message, 0)
	for i := range pending {
		if pending[i].From == pending[i].To {
			continue // a node's own loopback is perfect
		}
		if c.free || c.used[0] < c.space.Losses {
			add(explore.Lose, i)
		}
		if c.free || c.used[1] < c.space.Copies {
			add(explore.Copy, i)
		}
	}
	if c.free {
		c.offerMore()
		return
	}
	if c.used[2] >= c.space.Crashes {
		return
	}
	for n := range c.space.Nodes {
		for _, act := range []explore.Act{explore.Crash, explore.CrashBefore, explore.CrashAfter} {
			c.choices, c.message = append(c.choices, explore.Choice{Act: act, Node: labrpc.NodeID(n + 1)}), append(c.message, 0)
		}
	}
}

// take does what was picked.
func (c *schedule) take(i int, pending []labrpc.Pending) labrpc.Step {
	choice, message := c.choices[i], c.message[i]
	net := c.s.Net
	switch choice.Act {
	case explore.Wait:
		c.waits, c.waited = true, net.Now()
		return labrpc.Step{Do: labrpc.Wait, Limit: c.space.MaxWait}
	case explore.Lose:
		c.used[0]++
		return labrpc.Step{Do: labrpc.Lose, Message: message}
	case explore.Crash:
		c.used[2]++
		net.Crash(choice.Node)
		return labrpc.Step{Do: labrpc.Settle}
	case explore.CrashBefore, explore.CrashAfter:
		c.used[2]++
		net.CrashAtWrite(choice.Node, labrpc.CrashPoint{Write: net.Writes(choice.Node) + 1, After: choice.Act == explore.CrashAfter})
		return labrpc.Step{Do: labrpc.Settle}
	}
	if c.takeMore(choice) {
		return labrpc.Step{Do: labrpc.Settle}
	}
	if p := &pending[message]; c.scenario.OnDelivery != nil && c.reaches(p) {
		c.scenario.OnDelivery(Arrival{From: p.From, To: p.To, Kind: p.Kind, Body: p.Body()})
	}
	if choice.Act == explore.Copy {
		c.used[1]++
		return labrpc.Step{Do: labrpc.DeliverCopy, Message: message}
	}
	return labrpc.Step{Do: labrpc.Deliver, Message: message}
}

// count adds the present state to those seen: what the scenario sees of it, and which messages are under way, without their
// contents. It returns a hash of the state and of the faults that a schedule may still have; 0 if nothing is seen of the state.
func (c *schedule) count(pending []labrpc.Pending) uint64 {
	if c.seen == nil || c.scenario.State == nil {
		return 0
	}
	h := uint64(1)
	c.scenario.State(func(values ...int) {
		for _, v := range values {
			h = mix(h ^ uint64(v))
		}
	})
	for i := range pending {
		p := &pending[i]
		k := uint64(p.From)<<32 | uint64(p.To)<<8 | uint64(len(p.Kind))
		for j := range len(p.Method) {
			k = k*1099511628211 ^ uint64(p.Method[j]) // FNV
		}
		h += mix(k) // in any order
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stopped {
		c.seen[mix(h)] = struct{}{}
	}
	return max(1, mix(h^mix(uint64(c.used[0])<<40|uint64(c.used[1])<<20|uint64(c.used[2]))))
}

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
