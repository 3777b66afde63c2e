package explore

import (
	"fmt"
	"strconv"
	"strings"
)

// A Token is a step as a written schedule has it: the place of a message among the pending ones, the node that crashes, the
// place of what the scenario does, or the two ends of a link.
type Token struct {
	Act Act
	Arg int
	To  int // of a link, from Arg
}

// Format writes a schedule: "w.w.d0.x3.c2.l1-3".
func Format(schedule []Token) string {
	var b strings.Builder
	for i, t := range schedule {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteByte(byte(t.Act))
		if t.Act != Wait {
			b.WriteString(strconv.Itoa(t.Arg))
		}
		if t.Act.aboutLink() {
			b.WriteString("-" + strconv.Itoa(t.To))
		}
	}
	return b.String()
}

// Parse reads what [Format] writes.
func Parse(text string) ([]Token, error) {
	var schedule []Token
	for i, word := range strings.Split(text, ".") {
		t := Token{}
		if word != "" {
			t.Act = Act(word[0])
		}
		arg := strings.TrimPrefix(word, string(rune(t.Act)))
		switch t.Act {
		case Wait:
			if arg == "" {
				schedule = append(schedule, t)
				continue
			}
		case Deliver, Copy, Lose, Crash, CrashBefore, CrashAfter, Down, Up, Pause, Do:
			if n, err := strconv.ParseUint(arg, 10, 16); err == nil {
				t.Arg = int(n)
				schedule = append(schedule, t)
				continue
			}
		case Cut, Heal:
			from, to, _ := strings.Cut(arg, "-")
			a, err := strconv.ParseUint(from, 10, 16)
			b, err2 := strconv.ParseUint(to, 10, 16)
			if err == nil && err2 == nil {
				t.Arg, t.To = int(a), int(b)
				schedule = append(schedule, t)
				continue
			}
		}
		return nil, fmt.Errorf("explore: step %d of the schedule is %q: want w, or one of d u x (and the place of a message) "+
			"c b a k r p (and the number of a node) l h (and the two ends of a link: l1-3) s (and the place of what the scenario does)", i+1, word)
	}
	return schedule, nil
}

// fits reports whether a choice is the step that the token writes. place is how many choices of the token's sort are before it.
func (t Token) fits(c Choice, place int) bool {
	switch {
	case c.Act != t.Act:
		return false
	case t.Act == Wait:
		return true
	case t.Act.aboutMessage():
		return place == t.Arg
	case t.Act.aboutLink():
		return int(c.From) == t.Arg && int(c.Node) == t.To
	case t.Act == Do:
		return int(c.Number) == t.Arg
	}
	return int(c.Node) == t.Arg
}

// Find returns the index of the choice that the token writes; -1 if it is not possible.
func (t Token) Find(choices []Choice) int {
	place := 0
	for i, c := range choices {
		if t.fits(c, place) {
			return i
		}
		if c.Act == t.Act {
			place++
		}
	}
	return -1
}

// NewScript is the one schedule that was written.
func NewScript(seed uint64, schedule []Token) Strategy {
	return &script{seed: seed, schedule: schedule}
}

type script struct {
	seed     uint64
	schedule []Token
	begun    bool
}

func (s *script) Begin() (uint64, bool) {
	again := s.begun
	s.begun = true
	return s.seed, !again
}

func (s *script) Pick(depth int, choices []Choice) int {
	if depth >= len(s.schedule) {
		return -1
	}
	return s.schedule[depth].Find(choices)
}

// NewReplay is one schedule with those of the given steps that are possible when their turn comes; the others are left out.
func NewReplay(seed uint64, steps []Choice) Strategy { return &replay{seed: seed, steps: steps} }

type replay struct {
	seed  uint64
	steps []Choice
	begun bool
	next  int
}

func (r *replay) Begin() (uint64, bool) {
	again := r.begun
	r.begun = true
	return r.seed, !again
}

func (r *replay) Pick(_ int, choices []Choice) int {
	for ; r.next < len(r.steps); r.next++ {
		for i, c := range choices {
			if c == r.steps[r.next] {
				r.next++
				return i
			}
		}
	}
	return -1
}

// TokenOf writes the choice with this index: a message is named by its place among the choices of its sort.
func TokenOf(choices []Choice, picked int) Token {
	c := choices[picked]
	t := Token{Act: c.Act}
	switch {
	case c.Act.aboutMessage():
		for _, o := range choices[:picked] {
			if o.Act == c.Act {
				t.Arg++
			}
		}
	case c.Act.aboutLink():
		t.Arg, t.To = int(c.From), int(c.Node)
	case c.Act == Do:
		t.Arg = int(c.Number)
	case c.Act != Wait:
		t.Arg = int(c.Node)
	}
	return t
}
