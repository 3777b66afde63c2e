package report

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Which locks a function holds at the line that ends in "// here".
func TestHeld(t *testing.T) {
	for _, c := range []struct {
		name string
		body string
		in   string // suffix of the function's name, for literals
		want string
	}{
		{name: "locked", body: "n.mu.Lock()\nwait() // here", want: "n.mu"},
		{name: "deferred", body: "n.mu.Lock()\ndefer n.mu.Unlock()\nwait() // here", want: "n.mu"},
		{name: "released", body: "n.mu.Lock()\nn.mu.Unlock()\nwait() // here"},
		{name: "locked later", body: "wait() // here\nn.mu.Lock()"},
		{name: "another is released", body: "n.mu.Lock()\nn.other.Lock()\nn.other.Unlock()\nwait() // here", want: "n.mu"},
		{name: "released on the way out only", body: "n.mu.Lock()\nif x {\nn.mu.Unlock()\nreturn\n}\nwait() // here", want: "n.mu"},
		{name: "released in a branch that goes on", body: "n.mu.Lock()\nif x {\nn.mu.Unlock()\n}\nwait() // here"},
		{name: "within the branch", body: "n.mu.Lock()\nif x {\nn.mu.Unlock()\nwait() // here\nn.mu.Lock()\n}"},
		{name: "in a loop", body: "for {\nn.mu.Lock()\nselect {\ncase <-ch: // here\n}\nn.mu.Unlock()\n}", want: "n.mu"},
		{name: "after a loop that continues", body: "for {\nn.mu.Lock()\nif x {\nn.mu.Unlock()\ncontinue\n}\nwait() // here\n}", want: "n.mu"},
		{name: "in a case", body: "n.rw.RLock()\nswitch x {\ncase 1:\nn.rw.RUnlock()\ncase 2:\nwait() // here\n}", want: "n.rw"},
		{name: "wrong kind of unlock", body: "n.rw.RLock()\nn.rw.Unlock()\nwait() // here", want: "n.rw"},
		{name: "in a literal", body: "n.mu.Lock()\ngo func() {\nwait() // here\n}()", in: ".func1"},
		{name: "a literal that locks", body: "go func() {\nn.mu.Lock()\nwait() // here\n}()", in: ".func1", want: "n.mu"},
		{name: "a literal run elsewhere", body: "go func() {\nn.mu.Lock()\n}()\nwait() // here"},
		{name: "on one line", body: "n.mu.Lock(); wait() // here", want: "n.mu"},
		{name: "a call over lines", body: "n.mu.Lock()\nwait(\n1, // here\n2)", want: "n.mu"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := "package p\nfunc (n *Node) f() {\n" + c.body + "\n}\n"
			line := strings.Count(text[:strings.Index(text, "// here")], "\n") + 1
			p := Source{Read: func(string) ([]byte, error) { return []byte(text), nil }}.parse("p.go")
			var held []string
			for _, l := range p.held(Frame{Func: "p.(*Node).f" + c.in, Line: line}) {
				held = append(held, l.expr)
			}
			require.Equal(t, c.want, strings.Join(held, " "))
		})
	}
}
