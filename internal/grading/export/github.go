package export

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"strings"

	"distlabs/internal/grading/result"
	"distlabs/internal/harness/report"
)

// maxAnnotations is how many annotations of a kind GitHub shows of one step.
const maxAnnotations = 10

// Annotations writes workflow commands that mark the failed tests in a pull
// request (docs.github.com, "Workflow commands for GitHub Actions"). The first
// ten failures are errors; one notice counts the rest.
//
// The runner obeys every line of a step's output that begins with "::". All that
// is written here begins with a command of ours, and line breaks within are
// escaped, so that no text of a student's is one.
func Annotations(w io.Writer, r *result.Result) error {
	var b bytes.Buffer
	errors := 0
	annotate := func(at place, title, message string) {
		if errors++; errors > maxAnnotations {
			return
		}
		var properties []string
		if at.file != "" {
			properties = append(properties, "file="+property(at.file), fmt.Sprintf("line=%d", at.line))
		}
		properties = append(properties, "title="+property(line(title)))
		fmt.Fprintf(&b, "::error %s::%s\n", strings.Join(properties, ","), data(message))
	}
	if r.Ungraded != "" {
		annotate(place{}, "not graded", line(r.Ungraded))
	}
	for i := range r.Labs {
		lab := &r.Labs[i]
		if lab.Refused != "" && r.Ungraded == "" {
			annotate(place{}, lab.ID, line("not run: "+lab.Refused))
		}
	}
	r.Tests(func(lab *result.Lab, part *result.Part, t *result.Test) {
		if r.Ungraded == "" && lab.Refused == "" && t.Status == report.Fail && len(t.Failures) > 0 {
			annotate(placeOf(lab, t.Failures[0]), part.ID+" "+t.Name, strings.TrimRight(safeText(t.Failures[0]), "\n"))
		}
	})
	if more := errors - maxAnnotations; more > 0 {
		fmt.Fprintf(&b, "::notice title=distlabs::%d more failures are in the summary of this job\n", more)
	}
	return write(w, "github", b.Bytes())
}

// data escapes the message of a workflow command. "##[" begins a command of the
// runner's old form, which it looks for anywhere in a line.
func data(s string) string {
	s = strings.ReplaceAll(cut(s, maxAccount), "##[", "## [")
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

// property escapes a property of a workflow command.
func property(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(data(s))
}

// maxSummary is the most that a step's summary may have.
const maxSummary = 1 << 20

// Summary writes a job summary in Markdown, of at most 1 MiB, for the file that
// $GITHUB_STEP_SUMMARY names. Text of a student's stands in code blocks only.
func Summary(w io.Writer, r *result.Result) error {
	var b bytes.Buffer
	if r.Ungraded != "" { // which is not the same as no points
		b.WriteString("## Not graded\n\n")
		codeBlock(&b, overall(r))
		return write(w, "github", b.Bytes())
	}
	fmt.Fprintf(&b, "## %d of %d points\n\n", r.Points, r.Max)
	codeBlock(&b, overall(r))
	b.WriteString("\n| part | points | tests passed |\n|---|---:|---:|\n")
	for _, lab := range r.Labs {
		for _, part := range lab.Parts {
			passed := 0
			for _, t := range part.Tests {
				if t.Status == report.Pass {
					passed++
				}
			}
			fmt.Fprintf(&b, "| %s | %d/%d | %d/%d |\n", markdown(part.ID+" "+part.Title), part.Points, part.Max, passed, len(part.Tests))
		}
	}
	left := 0
	r.Tests(func(lab *result.Lab, part *result.Part, t *result.Test) {
		if t.Status == report.Pass || lab.Refused != "" || r.Ungraded != "" {
			return
		}
		var one bytes.Buffer
		fmt.Fprintf(&one, "\n### %s: %s (%s, %s)\n\n", status(t), markdown(t.Name), markdown(part.ID), t.Worth())
		codeBlock(&one, account(r, lab, t))
		if left > 0 || b.Len()+one.Len() > maxSummary-200 {
			left++
			return
		}
		b.Write(one.Bytes())
	})
	if left > 0 {
		fmt.Fprintf(&b, "\n%d more failures do not fit in here.\n", left)
	}
	return write(w, "github", b.Bytes())
}

// codeBlock fences text with more backquotes than stand in a row within it.
func codeBlock(b *bytes.Buffer, text string) {
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	fmt.Fprintf(b, "%s\n%s\n%s\n", fence, strings.TrimRight(text, "\n"), fence)
}

// markdown escapes one line of text: no HTML, no links, no columns, no emphasis.
func markdown(s string) string {
	var b strings.Builder
	for _, r := range line(s) {
		switch {
		case strings.ContainsRune("<>&", r):
			b.WriteString(html.EscapeString(string(r)))
			continue
		case strings.ContainsRune("\\`*_{}[]()#|~@", r):
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
