package view

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"distlabs/internal/harness/trace"
)

// shivizParser is the first line of a ShiViz file: the regular expression that reads the rest.
const shivizParser = `(?<event>.*)\n(?<host>\S*) (?<clock>{.*})`

// ShiViz writes the run as a log that ShiViz draws: load it as a file, or paste all except
// its first two lines, which say how to read the others.
//
// Only what happened at a node is written: ShiViz wants every host's clock to go up by one from line to line, and
// a lost message or a cut link is nobody's event. A violation stands at the event that it is about.
func ShiViz(w io.Writer, run *trace.Run) error {
	buf := bufio.NewWriter(w)
	fmt.Fprintf(buf, "%s\n\n", shivizParser)
	broke := violationStep(run)
	f, _ := failureOf(run)
	for i := range run.Steps {
		s := &run.Steps[i]
		if s.Node == 0 {
			continue
		}
		said := sentence(s)
		if i == broke {
			said += " " + violationLine(f)
		}
		var clock []string
		for n, count := range s.Vector {
			if count > 0 {
				clock = append(clock, fmt.Sprintf(`"n%d":%d`, n+1, count))
			}
		}
		fmt.Fprintf(buf, "%s %s\n%v {%s}\n", trace.Seconds(s.At), said, s.Node, strings.Join(clock, ","))
	}
	if err := buf.Flush(); err != nil {
		return fmt.Errorf("view: write for ShiViz: %w", err)
	}
	return nil
}
