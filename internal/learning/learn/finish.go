package learn

import (
	"fmt"
	"strings"

	"distlabs/internal/grading/course"
)

// achievements is what a student's code can do when a lab is complete, by the
// lab's package. A lab that is not here has a plain sentence.
var achievements = map[string]string{
	"links":        "Messages are lost, doubled, late, forged, and forgotten in crashes; yours arrive all the same, once, in order, from whom they say.",
	"detector":     "You can tell a dead machine from a slow one as well as anybody can, and you know why nobody can do it perfectly.",
	"clocks":       "No two of your clocks agree, and it no longer matters: you know what happened before what.",
	"election":     "Your servers agree on who leads, through crashes at every write and every partition that we could think of, and a leader who sleeps through its reign breaks nothing.",
	"replication":  "You have written a replicated log and a coordination store upon it: what etcd and ZooKeeper are, and it survives what kills most first attempts.",
	"consistency":  "You can say what a read promises, what the promise costs, and prove it from a history.",
	"transactions": "You can name what goes wrong between two transactions, and forbid it: with locks, with versions, over machines that crash, and where no transaction reaches.",
}

// Finish is what is said when a lab is complete.
func Finish(c *course.Course, p Progress, lab course.Lab) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Lab %s, %s, is complete: every test passes.\n", lab.Number(), lab.Title)
	if text, ok := achievements[lab.Package]; ok {
		b.WriteString(text + "\n")
	}
	next, part, more := p.Next(c)
	if more {
		fmt.Fprintf(&b, "Compare with the reference (grade solution %s), then go on with %s, %s, in %s.", lab.Parts[0].ID, part.ID, part.Title, next.Dir())
		return b.String()
	}
	tests := 0
	for _, lab := range c.Labs {
		tests += len(lab.Tests())
	}
	fmt.Fprintf(&b, "\nThat was the last one. All %d labs, all %d tests, each over many seeds:\n", len(c.Labs), tests)
	b.WriteString("the network lost, doubled, delayed and forged what it could, every machine crashed at its worst moment, and your code stood.\n")
	b.WriteString("Try the thousand seeds that the reference has to pass: grade run --seeds 1000.")
	return b.String()
}
