package explore

import (
	"fmt"
	"strconv"
	"strings"
)

// A Token is a step as a written schedule has it: the place of a message among the pending ones, or the node that crashes.
type Token struct {
	Act Act
	Arg int
}

// Format writes a schedule: "w.w.d0.x3.c2".
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
		case Deliver, Copy, Lose, Crash, CrashBefore, CrashAfter:
			if n, err := strconv.ParseUint(arg, 10, 16); err == nil {
				t.Arg = int(n)
				schedule = append(schedule, t)
				continue
			}
		}
		return nil, fmt.Errorf("explore: step %d of the schedule is %q: want w, or one of d u x (and the place of a message) c b a (and the number of a node)", i+1, word)
	}
	return schedule, nil
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
	want, place := s.schedule[depth], 0
	for i, c := range choices {
		if c.Act != want.Act {
			continue
		}
		if c.Act == Wait || !c.Act.aboutMessage() && int(c.Node) == want.Arg || c.Act.aboutMessage() && place == want.Arg {
			return i
		}
		place++
	}
	return -1
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
	case c.Act != Wait:
		t.Arg = int(c.Node)
	}
	return t
}
