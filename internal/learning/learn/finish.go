package learn

import (
	"fmt"
	"strings"

	"distlabs/internal/grading/course"
)

// achievements is what a student's code can do when a lab is complete, by the
// lab's package. A lab that is not here has a plain sentence.
var achievements = map[string]string{
	"links":        "The network loses, duplicates, delays and forges messages, and machines crash. Your links deliver each message once, in order, from its true sender.",
	"detector":     "Your detectors tell a crashed machine from a slow one as well as any detector can, and you know why no detector is perfect.",
	"clocks":       "No two of your clocks agree, and it no longer matters: you know which event happened before which.",
	"election":     "Your servers agree on the leader, through crashes at every write and through every partition, and a leader that is paused past the end of its lease does no damage.",
	"replication":  "You have written a replicated log and a coordination store on top of it, as etcd and ZooKeeper are, and it survives the faults that break most first attempts.",
	"consistency":  "You can say what a read guarantees, what the guarantee costs, and check it against a history.",
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
		if course.HasSolutions(c.Root) {
			fmt.Fprintf(&b, "Compare your code with the reference: grade solution %s. ", lab.Parts[0].ID)
		}
		fmt.Fprintf(&b, "The next part is %s, %s, in %s.", part.ID, part.Title, next.Dir())
		return b.String()
	}
	tests := 0
	for _, lab := range c.Own() {
		tests += len(lab.Tests())
	}
	fmt.Fprintf(&b, "\nThat was the last one. All %d labs, all %d tests, each over many seeds:\n", len(c.Own()), tests)
	b.WriteString("the network lost, duplicated, delayed and forged messages, machines crashed at every write, and your code passes.\n")
	b.WriteString("The reference passes a thousand seeds of each. Does your code? grade run --seeds 1000")
	return b.String()
}
