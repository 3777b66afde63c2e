package trace

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"distlabs/labrpc"
)

// Options say what [Text] shows. The zero value shows the last 25 rows, each step for itself.
type Options struct {
	// Last is how many rows are shown; 0 means 25. A row may stand for several steps.
	Last int
	// Nodes, if any, leaves out what does not touch one of them.
	Nodes []labrpc.NodeID
	// From is the first time shown.
	From time.Duration
	// Until is the last time shown; 0 means the violation's, or the end of a run without one.
	Until time.Duration
	// Fold makes one row of messages that repeat the one before them word for word and move
	// nobody to note or write anything new, such as heartbeats; notes that change nothing go.
	Fold bool
	// Past leaves out what cannot have mattered: the steps that are in the causal past
	// of nothing that Nodes (or any node, if there are none) did until then. What the test
	// did to the network stays.
	Past bool
	// Keep, if not nil, has the steps that are never folded or left out, as [Run.Names] finds them.
	Keep []bool
}

// keeps reports whether the step must be shown.
func (o *Options) keeps(i int) bool { return i < len(o.Keep) && o.Keep[i] }

const (
	defaultRows = 25
	maxWidth    = 110
	maxBody     = 60
)

// Text shows the last steps of a run, a row each, for the output of a test:
//
//	1.190s       n2   role follower → candidate, term 2 → 3, writes vote
//	             n2   → n1 n4  RequestVote{Term:3 Candidate:n2}
//	           ! n2   → n3     RequestVote{Term:3 Candidate:n2}  lost (cut)
//	1.194s       n1   ← n2     RequestVote{Term:3 Candidate:n2}  after 4ms, answers {Granted:true}
//	1.201s     … 14 × AppendEntries n4→n2 n3 (1 lost)
//
// An arrow to the right is a send, one to the left a delivery; "!" marks a fault, and "…" what was folded. A row
// without a time is of the same instant as the one above. No row is wider than 110 characters,
// and nothing in it is a control character.
func Text(run *Run, opts Options) string {
	steps := run.chosen(&opts)
	rows := gather(run, steps)
	for _, r := range rows {
		r.keep = slices.ContainsFunc(r.steps, opts.keeps)
		r.repeat = r.repeat && !r.keep
	}
	if opts.Fold {
		rows = fold(run, rows)
	}
	last := opts.Last
	if last <= 0 {
		last = defaultRows
	}
	var b strings.Builder
	width := timeWidth(opts.Until)
	render(&b, run, lastRows(rows, last), width)
	if v := run.Header.Violation; v != nil && v.At <= opts.Until {
		fmt.Fprintf(&b, "%s✗ here the rule broke\n", alignTime(Seconds(v.At), width))
	}
	return b.String()
}

// lastRows returns the last rows, and of those before them the rows that must be kept; a row counts the steps left out.
func lastRows(rows []*row, last int) []*row {
	var out []*row
	earlier := 0
	leave := func(what string) {
		if earlier > 0 {
			out = append(out, &row{first: &Step{}, folded: count(earlier, "step") + what, left: true})
		}
		earlier = 0
	}
	for k, r := range rows {
		if k < len(rows)-last && !r.keep {
			earlier += len(r.steps)
			continue
		}
		leave(map[bool]string{true: " before", false: " between"}[len(out) == 0])
		out = append(out, r)
	}
	return out
}

// count writes "1 step", "12 steps".
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// chosen returns the indexes of the steps that the options leave, ascending, and settles opts.Until.
func (r *Run) chosen(opts *Options) []int {
	if opts.Until <= 0 && r.Header.Violation != nil {
		opts.Until = r.Header.Violation.At
	}
	if opts.Until <= 0 && len(r.Steps) > 0 {
		opts.Until = r.Steps[len(r.Steps)-1].At
	}
	var past map[int]bool
	if opts.Past {
		past = r.pastOf(opts.Nodes, opts.Until)
	}
	var out []int
	for i := range r.Steps {
		s := &r.Steps[i]
		if s.At > opts.Until {
			break
		}
		if s.At < opts.From || s.ends() || s.Kind == KindSeen {
			continue
		}
		if opts.keeps(i) {
			out = append(out, i)
			continue
		}
		if s.touches(opts.Nodes) && (past == nil || past[i] || r.mattered(past, i)) {
			out = append(out, i)
		}
	}
	return out
}

// touches reports whether the step concerns one of the nodes. What names no node concerns all.
func (s *Step) touches(nodes []labrpc.NodeID) bool {
	if len(nodes) == 0 || s.Node == 0 && s.From == 0 && s.To == 0 {
		return true
	}
	return slices.ContainsFunc(nodes, func(n labrpc.NodeID) bool { return n == s.Node || n == s.From || n == s.To })
}

// pastOf returns what the nodes' last steps until then are, and what came before them.
func (r *Run) pastOf(nodes []labrpc.NodeID, until time.Duration) map[int]bool {
	past := map[int]bool{}
	for n, lane := range r.order.lanes {
		if len(nodes) > 0 && !slices.Contains(nodes, labrpc.NodeID(n)) {
			continue
		}
		for k := len(lane) - 1; k >= 0; k-- {
			if r.Steps[lane[k]].At <= until {
				past[lane[k]] = true
				for _, c := range r.Causes(lane[k]) {
					past[c] = true
				}
				break
			}
		}
	}
	return past
}

// mattered keeps what is in nobody's past and yet explains: a message that was
// lost or held back after a send of the past, and what the test did.
func (r *Run) mattered(past map[int]bool, i int) bool {
	s := &r.Steps[i]
	if s.Node != 0 {
		return false
	}
	return s.Msg == 0 || s.Partner >= 0 && past[s.Partner]
}
