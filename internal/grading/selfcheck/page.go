package selfcheck

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"distlabs/internal/grading/course"
)

// headings are those of every lab's README.md, in this order.
var headings = []string{"The problem", "What you write", "The rules", "Run it", "Parts and points", "When you are stuck", "Read"}

// Page checks the lab's README.md: its headings, and that its table of points is lab.yaml's.
func Page(c *course.Course, lab course.Lab) Check {
	check := Check{Lab: lab.ID, Promise: "README.md has the headings and the points of lab.yaml"}
	text, err := os.ReadFile(filepath.Join(c.Root, filepath.FromSlash(lab.Dir()), "README.md"))
	if err != nil {
		check.Problems = []string{"README.md cannot be read: " + err.Error()}
		return check
	}
	sections, order := split(string(text))
	if !slices.Equal(order, headings) {
		check.Problems = append(check.Problems, fmt.Sprintf("README.md has the headings %s, want %s", strings.Join(order, " · "), strings.Join(headings, " · ")))
	}
	check.Problems = append(check.Problems, points(sections["Parts and points"], lab)...)
	return check
}

// split cuts a page at its headings of the second level. What stands between
// fences is code.
func split(text string) (sections map[string]string, order []string) {
	sections = map[string]string{}
	heading, code := "", false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "```") {
			code = !code
		}
		if title, is := strings.CutPrefix(line, "## "); is && !code {
			heading = strings.TrimSpace(title)
			order = append(order, heading)
			continue
		}
		sections[heading] += line
	}
	return sections, order
}

var partName = regexp.MustCompile(`\b[1-9]\d?[A-Z]\b`)

// points holds the table of a page against lab.yaml. A row is about the part that its first cell
// names; its points are in the cell that is a number.
func points(table string, lab course.Lab) []string {
	shown := map[string]int{}
	var problems []string
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		part := partName.FindString(cells[0])
		if part == "" || len(cells) < 2 || !strings.HasPrefix(strings.TrimSpace(line), "|") {
			continue
		}
		n := -1
		for _, cell := range cells[1:] {
			if value, err := strconv.Atoi(strings.TrimSpace(cell)); err == nil && n < 0 {
				n = value
			}
		}
		if _, twice := shown[part]; twice {
			problems = append(problems, fmt.Sprintf("README.md lists part %s twice", part))
		}
		shown[part] = n
	}
	for _, p := range lab.Parts {
		n, there := shown[p.ID]
		delete(shown, p.ID)
		switch {
		case !there:
			problems = append(problems, fmt.Sprintf("README.md does not list part %s", p.ID))
		case n < 0:
			problems = append(problems, fmt.Sprintf("README.md gives part %s no points, lab.yaml gives it %d", p.ID, p.Points))
		case n != p.Points:
			problems = append(problems, fmt.Sprintf("README.md gives part %s %d points, lab.yaml gives it %d", p.ID, n, p.Points))
		}
	}
	for part := range shown {
		problems = append(problems, fmt.Sprintf("README.md lists part %s, which lab.yaml does not have", part))
	}
	return problems
}
