package supervise

import (
	"bytes"
	"io"
	"slices"
	"sync"
	"time"
)

// printer prints what several children write: the lines that one of them writes within a short time stay together.
type printer struct {
	mu     sync.Mutex // held while something is printed
	out    io.Writer
	voices []*voice
}

// pause is how long a child must have been silent before its lines are printed. Package testing writes all about a test at once.
const pause = 20 * time.Millisecond

// mostHeld is how much of a child is kept, if it is not silent for so long.
const mostHeld = 1 << 20

// verdicts are how package testing ends what it prints. With several children, there is one for all.
var verdicts = []string{"FAIL\n", "PASS\n"}

// voice is the standard output of one child.
type voice struct {
	printer *printer
	mu      sync.Mutex
	held    []byte
	timer   *time.Timer
}

func (p *printer) voice() *voice {
	v := &voice{printer: p}
	v.timer = time.AfterFunc(time.Hour, v.flush)
	p.voices = append(p.voices, v)
	return v
}

// Write never fails.
func (v *voice) Write(b []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.held = append(v.held, b...)
	if len(v.held) > mostHeld {
		v.print(len(v.held))
	}
	v.timer.Reset(pause)
	return len(b), nil
}

// flush prints the whole lines that are held, without a verdict at their end.
func (v *voice) flush() {
	v.mu.Lock()
	defer v.mu.Unlock()
	end := bytes.LastIndexByte(v.held, '\n') + 1
	v.print(end - len(verdict(v.held[:end])))
}

// print prints the first n bytes that are held. The caller holds v.mu.
func (v *voice) print(n int) {
	v.printer.mu.Lock()
	defer v.printer.mu.Unlock()
	v.printer.out.Write(v.held[:n])
	v.held = slices.Delete(v.held, 0, n)
}

// verdict is the verdict that text ends with, or "".
func verdict(text []byte) string {
	for _, v := range verdicts {
		if before, found := bytes.CutSuffix(text, []byte(v)); found && (len(before) == 0 || before[len(before)-1] == '\n') {
			return v
		}
	}
	return ""
}

// end prints what is left, and one verdict: that all is well only if every child says so. A child that died says nothing.
func (p *printer) end() {
	how := "PASS\n"
	for _, v := range p.voices {
		v.timer.Stop()
		v.mu.Lock()
		said := verdict(v.held)
		v.print(len(v.held) - len(said))
		v.mu.Unlock()
		if said != "PASS\n" && how != "FAIL\n" {
			how = said
		}
	}
	if len(p.voices) > 0 {
		io.WriteString(p.out, how)
	}
}
