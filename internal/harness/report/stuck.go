package report

import (
	"fmt"
	"slices"
	"strings"
)

const (
	ruleLock  = "do not hold a mutex across Call, a channel operation, Sleep, or a callback that may wait: unlock before, lock again after"
	ruleTwice = "a Go mutex cannot be locked twice by one goroutine: lock in the outer function only"
	ruleOrder = "all goroutines take two mutexes in the same order"
	ruleFree  = "every Lock needs an Unlock on every way out of the function"
	ruleSpin  = "wait with a timer, a channel or a condition; never poll in a loop"
)

// Diagnose says why virtual time stands still in a bubble, from the stacks of
// all goroutines (runtime.Stack): a mutex held across a wait, a mutex locked
// twice, mutexes taken in two orders, or a loop that never waits. While a goroutine of the
// bubble can go on, only the loop is a reason. Bubble 0 looks at every goroutine, of a process that has ended. It reports
// false if the stacks show none of these.
//
// The failure's Kind, Where, What, Rule and Seen are set.
func Diagnose(stacks []byte, bubble uint64, src Source) (Failure, bool) {
	d := diagnosis{src: src, files: map[string]*parsed{}}
	goroutines := ParseStacks(stacks)
	for _, g := range goroutines {
		if bubble == 0 || g.Bubble == bubble {
			d.all = append(d.all, g)
		}
	}
	settled := bubble == 0 || !goesOn(goroutines, bubble)
	slices.SortFunc(d.all, func(a, b Goroutine) int { return int(a.ID) - int(b.ID) })
	var waits []wait
	for _, g := range d.all {
		if w, ok := d.waiting(g); ok {
			w.holder, w.held = d.holderOf(w)
			waits = append(waits, w)
		}
	}
	if settled {
		if f, ok := d.lockFailure(waits); ok {
			return f, true
		}
	}
	if f, ok := d.spinFailure(); ok || !settled {
		return f, ok
	}
	for _, w := range waits {
		if w.holder == nil {
			return w.abandoned(), true
		}
	}
	return Failure{}, false
}

// goesOn reports whether a goroutine of the bubble can go on. While one can, who waits for a mutex need not wait for long: a mutex that
// has just been unlocked has no holder until it runs again, since the goroutine that it wakes is only about to run. A goroutine that starts or helps
// the garbage collector is in no bubble meanwhile. The first goroutine of the stacks is the one that asked for them.
func goesOn(all []Goroutine, bubble uint64) bool {
	for i, g := range all {
		if runs(g) && (g.Bubble == bubble || g.Bubble == 0 && i > 0) {
			return true
		}
	}
	return false
}

type diagnosis struct {
	src   Source
	all   []Goroutine
	files map[string]*parsed
}

// wait is a goroutine that waits for a mutex, and who seems to hold it.
type wait struct {
	g      Goroutine
	at     Frame // the student's line that locks
	lock   lock
	holder *Goroutine
	held   holding
}

// holding is one lock in the hands of a goroutine.
type holding struct {
	lock lock
	in   Frame // the function that took it, at the line where it is now
}

// waiting tells whether g waits for a mutex on a line of the student's.
func (d *diagnosis) waiting(g Goroutine) (wait, bool) {
	switch g.State {
	case "sync.Mutex.Lock", "sync.RWMutex.Lock", "sync.RWMutex.RLock":
	default:
		return wait{}, false
	}
	for _, f := range g.Frames {
		if isSync(f) {
			continue
		}
		if !d.src.isStudent(f) {
			return wait{}, false // a lock of ours, or of Go's library
		}
		w := wait{g: g, at: f, lock: lock{expr: "a mutex", method: "Lock", line: f.Line}}
		if p := d.parse(f.File); p != nil {
			if l, ok := p.lockAt(f.Line); ok {
				w.lock = l
			}
		}
		return w, true
	}
	return wait{}, false
}

func isSync(f Frame) bool {
	return strings.HasPrefix(f.Func, "sync.") || strings.HasPrefix(f.Func, "internal/sync.") || strings.HasPrefix(f.Func, "runtime.")
}

func (d *diagnosis) parse(path string) *parsed {
	p, ok := d.files[path]
	if !ok {
		p = d.src.parse(path)
		d.files[path] = p
	}
	return p
}

// holderOf returns the goroutine that most likely holds the mutex that w waits
// for: one whose function took a mutex of that name on the same receiver, as
// far as the stacks show receivers, and that has not released it. Nil if none.
func (d *diagnosis) holderOf(w wait) (*Goroutine, holding) {
	var holder *Goroutine
	var best holding
	rank := 0
	for i := range d.all {
		g := &d.all[i]
		for _, h := range d.holds(*g) {
			if h.lock.name() != w.lock.name() || !h.lock.conflicts(w.lock) {
				continue
			}
			if r := sameReceiver(h.in, w.at); r > rank {
				holder, best, rank = g, h, r
			}
		}
	}
	return holder, best
}

// holds returns the locks that the student's functions on g's stack hold.
// A goroutine in Cond.Wait has given its lock back and holds none, and who waits for a lock does not hold it: the grader may have
// put a statement of its own behind the one that locks, on the same line.
func (d *diagnosis) holds(g Goroutine) []holding {
	if g.State == "sync.Cond.Wait" {
		return nil
	}
	var all []holding
	w, waits := d.waiting(g)
	for _, f := range d.src.student(g.Frames) {
		p := d.parse(f.File)
		if p == nil {
			continue
		}
		for _, l := range p.held(f) {
			if !waits || f != w.at || l.line != f.Line {
				all = append(all, holding{lock: l, in: f})
			}
		}
	}
	return all
}

// sameReceiver ranks whether two frames are methods of one object:
// 2 surely, 1 perhaps, 0 surely not.
func sameReceiver(a, b Frame) int {
	recvA, typeA := receiver(a)
	recvB, typeB := receiver(b)
	if recvA == "" || recvB == "" || typeA != typeB {
		return 1
	}
	if recvA == recvB {
		return 2
	}
	return 0
}

// receiver returns the address of a method's pointer receiver and its type.
// The address is "" where the runtime marks it as possibly stale.
func receiver(f Frame) (address, typ string) {
	at := strings.Index(f.Func, ".(*")
	end := strings.LastIndex(f.Func, ").")
	if at < 0 || end < at || closureSuffix.MatchString(f.Func) {
		return "", ""
	}
	first, _, _ := strings.Cut(f.Args, ", ")
	if !strings.HasPrefix(first, "0x") || strings.HasSuffix(first, "?") {
		return "", f.Func[:end]
	}
	return first, f.Func[:end]
}

// lockFailure finds the wait that explains all others: a goroutine that waits
// for itself, some that wait for each other in a circle, or one whose holder waits for
// something else than a mutex.
func (d *diagnosis) lockFailure(waits []wait) (Failure, bool) {
	byID := map[uint64]wait{}
	for _, w := range waits {
		byID[w.g.ID] = w
	}
	for _, w := range waits {
		if w.holder == nil {
			continue
		}
		if w.holder.ID == w.g.ID {
			return w.twice(), true
		}
		if circle := circle(w, byID); circle != nil {
			return crossed(circle), true
		}
	}
	for _, w := range waits {
		if w.holder == nil || runs(*w.holder) {
			continue
		}
		if _, waiting := byID[w.holder.ID]; !waiting {
			return w.across(d.src), true
		}
	}
	return Failure{}, false
}

// circle follows from w which goroutine waits for which, and returns the way if it comes
// back to w.
func circle(w wait, byID map[uint64]wait) []wait {
	way := []wait{w}
	for len(way) <= len(byID) {
		next, ok := byID[way[len(way)-1].holder.ID]
		switch {
		case !ok || next.holder == nil:
			return nil
		case next.g.ID == w.g.ID:
			return way
		}
		way = append(way, next)
	}
	return nil
}

// across: the holder waits for a message, a channel or time.
func (w wait) across(src Source) Failure {
	own := src.student(w.holder.Frames)
	blocked := own[0]
	return Failure{
		Kind:  Lock,
		Where: blocked.path(),
		What: fmt.Sprintf("%s waits for %s, which the goroutine at %s holds across %s",
			w.at.Where(), w.lock.expr, blocked.Where(), waitName(*w.holder, blocked)),
		Rule: ruleLock,
		Seen: []string{
			fmt.Sprintf("%s locked %s at %s and is at %s", w.held.in.Name(), w.held.lock.expr, place(w.held), w.held.in.Where()),
			fmt.Sprintf("%s waits for it at %s", w.at.Name(), w.at.Where()),
		},
	}
}

// twice: the goroutine waits for a mutex of its own.
func (w wait) twice() Failure {
	return Failure{
		Kind:  Lock,
		Where: w.at.path(),
		What: fmt.Sprintf("%s waits for %s, which the same goroutine locked at %s",
			w.at.Where(), w.lock.expr, place(w.held)),
		Rule: ruleTwice,
		Seen: []string{
			fmt.Sprintf("%s locked %s at %s and is at %s", w.held.in.Name(), w.held.lock.expr, place(w.held), w.held.in.Where()),
			fmt.Sprintf("%s locks it again at %s", w.at.Name(), w.at.Where()),
		},
	}
}

// crossed: each goroutine holds what the one before it waits for.
func crossed(circle []wait) Failure {
	var waits, seen []string
	for i, w := range circle {
		before := circle[(i+len(circle)-1)%len(circle)]
		waits = append(waits, w.at.Where()+" waits for "+w.lock.expr)
		seen = append(seen, fmt.Sprintf("%s locked %s at %s and wants %s at %s",
			w.at.Name(), before.held.lock.expr, place(before.held), w.lock.expr, w.at.Where()))
	}
	return Failure{
		Kind:  Lock,
		Where: circle[0].at.path(),
		What:  strings.Join(waits, " and ") + ": each goroutine holds what another one wants",
		Rule:  ruleOrder,
		Seen:  seen,
	}
}

// abandoned: no goroutine seems to hold the mutex.
func (w wait) abandoned() Failure {
	return Failure{
		Kind:  Lock,
		Where: w.at.path(),
		What:  fmt.Sprintf("%s waits forever for %s, but no running goroutine holds it", w.at.Where(), w.lock.expr),
		Rule:  ruleFree,
		Seen:  []string{fmt.Sprintf("%s waits at %s; look for a return between a Lock and its Unlock", w.at.Name(), w.at.Where())},
	}
}

// place returns where the lock was taken.
func place(h holding) string { return fmt.Sprintf("%s:%d", baseName(h.in.File), h.lock.line) }

// runs tells whether a goroutine could go on if it had a processor, or had it from the runtime: one that allocates may have to
// start the garbage collector (semacquire) or to help it.
func runs(g Goroutine) bool {
	switch g.State {
	case "running", "runnable", "preempted", "syscall", "copystack",
		"semacquire", "wait for GC cycle", "wait until GC ends", "stopping the world":
		return true
	}
	return strings.HasPrefix(g.State, "GC ")
}

// waitName says what a goroutine waits in, below the student's frame at.
func waitName(g Goroutine, at Frame) string {
	if i := slices.Index(g.Frames, at); i > 0 {
		return g.Frames[i-1].Name()
	}
	switch {
	case strings.HasPrefix(g.State, "chan receive"):
		return "a channel receive"
	case strings.HasPrefix(g.State, "chan send"):
		return "a channel send"
	case strings.HasPrefix(g.State, "select"):
		return "a select"
	}
	return "a wait (" + g.State + ")"
}

// deep is the depth from which calls on one line pass for an endless recursion.
const deep = 40

// spinFailure finds a goroutine that runs in the student's code.
func (d *diagnosis) spinFailure() (Failure, bool) {
	for _, g := range d.all {
		own := d.src.student(g.Frames)
		if !runs(g) || len(own) == 0 {
			continue
		}
		f := Failure{
			Kind:  Spin,
			Where: own[0].path(),
			What:  own[0].Name() + " runs without ever waiting: virtual time cannot move",
			Rule:  ruleSpin,
		}
		if len(own) > deep && own[deep].path() == own[deep-1].path() {
			f.What, f.Rule = explain("stack overflow")
			f.What = own[0].Name() + " " + f.What
			own = own[:1]
		}
		for _, frame := range own[:min(len(own), 4)] {
			f.Seen = append(f.Seen, frame.Name()+" at "+frame.Where())
		}
		return f, true
	}
	return Failure{}, false
}
