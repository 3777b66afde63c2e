package export

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"math"
	"regexp"
	"strings"
	"time"

	"distlabs/internal/grading/result"
	"distlabs/internal/harness/report"
)

//go:embed assets
var assets embed.FS

var (
	pages  = template.Must(template.ParseFS(assets, "assets/page.tmpl"))
	style  = mustRead("assets/page.css")
	script = mustRead("assets/sort.js") // of the class's page
)

// landscape is what the class's page has behind the common style.
const landscape = "@page { size: A4 landscape; margin: 12mm; }\n"

func mustRead(name string) string {
	text, err := assets.ReadFile(name)
	if err != nil {
		panic(err) // it is embedded
	}
	return string(text)
}

// page is what every page has. It fetches nothing, and has no script but the one of the class's page, which sorts; its
// policy forbids the browser all else.
type page struct {
	Title        string
	Wide         bool
	Style        template.CSS
	Policy       string
	Script       template.JS // "" for none
	ScriptPolicy string
	Foot         string
}

func newPage(title string, wide bool) page {
	text := style
	if wide {
		text += landscape
	}
	p := page{Title: title, Wide: wide, Style: template.CSS(style), Policy: policy(text), ScriptPolicy: "'none'"}
	if wide {
		p.Script, p.ScriptPolicy = template.JS(script), policy(script)
	}
	return p
}

// policy permits one text.
func policy(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

type studentPage struct {
	page
	Sub, Back   string
	Graded      bool
	Points, Max int
	Percent     float64
	Remark      string
	Verdict     string
	Causes      []*cause
	Labs        []labView
}

type labView struct {
	Name, Refused  string
	Points, Max    int
	Compile, Notes []string
	Parts          []partView
}

type partView struct {
	ID, Title   string
	Points, Max int
	Tests       []testView
}

type testView struct {
	Class, Mark, Word, Name string
	Points, Max             int
	Said                    []string
	Text                    string
}

// StudentPage writes one student's result as a page of its own, to be read
// offline or printed. back is the address of the class's page, "" if there is none.
func StudentPage(w io.Writer, s Student, back string) error {
	title, sub := titles(s)
	view := studentPage{page: newPage(title, false), Sub: sub, Back: back, Remark: line(s.Missing)}
	if r := s.Result; r != nil {
		view.Graded, view.Points, view.Max = r.Ungraded == "", r.Points, r.Max
		view.Percent = percent(r.Points, r.Max)
		if r.Ungraded != "" {
			view.Remark = line("Not graded: " + r.Ungraded)
		}
		if view.Graded {
			causes, passed, tests := causesOf(r)
			view.Causes, view.Verdict = causes, verdict(causes, passed, tests)
		}
		view.Foot = foot(r)
		for i := range r.Labs {
			view.Labs = append(view.Labs, viewLab(r, &r.Labs[i]))
		}
	}
	if err := pages.ExecuteTemplate(w, "student", view); err != nil {
		return fmt.Errorf("export: html: %w", err)
	}
	return nil
}

// titles are what a student is called, and the id where that says more.
func titles(s Student) (title, sub string) {
	title, sub = line(s.Name), line(s.ID)
	switch {
	case title == "" && sub == "" && s.Result != nil && s.Result.Source.Path != "":
		title = line(s.Result.Source.Path)
	case title == "" && sub == "" && s.Result != nil:
		title = line("the " + string(s.Result.Source.Kind))
	case title == "" || title == sub:
		title, sub = sub, ""
	}
	return title, sub
}

func foot(r *result.Result) string {
	level := map[int]string{1: " (gate and results channel)", 2: " (with a layer of the operating system)", 3: " (in a container)"}[r.Isolation]
	return fmt.Sprintf("Graded by distlabs %s with %s, isolation level %d%s.", line(r.Grader), line(r.Go), r.Isolation, level)
}

func viewLab(r *result.Result, lab *result.Lab) labView {
	view := labView{Name: labName(line(lab.ID), line(lab.Title)), Refused: line(lab.Refused), Points: lab.Points, Max: lab.Max,
		Compile: lines(lab.Compile), Notes: lines(lab.Notes)}
	for i := range lab.Parts {
		part := &lab.Parts[i]
		p := partView{ID: line(part.ID), Title: line(part.Title), Points: part.Points, Max: part.Max}
		for j := range part.Tests {
			p.Tests = append(p.Tests, viewTest(r, lab, &part.Tests[j]))
		}
		view.Parts = append(view.Parts, p)
	}
	return view
}

var labNumber = regexp.MustCompile(`^\d\d-`)

// labName is what a lab is called: 04 Election.
func labName(id, title string) string {
	if labNumber.MatchString(id) && title != "" {
		return id[:2] + " " + title
	}
	return line(id + " " + title)
}

func viewTest(r *result.Result, lab *result.Lab, t *result.Test) testView {
	view := testView{Name: line(t.Name), Points: t.Points, Max: t.Max, Class: "fail", Mark: "✗", Word: "failed"}
	switch {
	case t.Status == report.Pass:
		view.Class, view.Mark, view.Word = "pass", "✓", "passed"
	case r.Ungraded != "" || lab.Refused != "":
		view.Class, view.Mark, view.Word = "skip", "–", "not run" // the page says why, once
	case t.Status == report.Skip:
		view.Class, view.Mark, view.Word = "skip", "–", "skipped"
		view.Said = append(view.Said, line("skipped: "+t.Skipped))
	default:
		view.Text = account(r, lab, t)
	}
	if t.Seeds > 0 {
		said := fmt.Sprintf("%d %s", t.Seeds, seeds(t.Seeds))
		if t.Virtual > 0 {
			said += ", " + time.Duration(t.Virtual*float64(time.Second)).Round(time.Second).String() + " of virtual time"
		}
		if len(t.Failed) > 0 {
			said += ", failed on " + seeds(len(t.Failed)) + " " + some(t.Failed)
		}
		view.Said = append(view.Said, said)
	}
	if len(t.Diverged) > 0 {
		view.Said = append(view.Said, "ran differently when repeated: "+seeds(len(t.Diverged))+" "+some(t.Diverged))
	}
	if view.Text == "" {
		for _, m := range t.Measures {
			view.Said = append(view.Said, measured(m))
		}
	}
	return view
}

func seeds(n int) string {
	if n == 1 {
		return "seed"
	}
	return "seeds"
}

// some lists the first few of many numbers.
func some(list []uint64) string {
	const few = 8
	shown := fmt.Sprint(list[:min(few, len(list))])
	shown = strings.ReplaceAll(strings.Trim(shown, "[]"), " ", ", ")
	if more := len(list) - few; more > 0 {
		shown += fmt.Sprintf(" and %d more", more)
	}
	return shown
}

func lines(list []string) []string {
	var out []string
	for _, s := range list {
		out = append(out, line(s))
	}
	return out
}

// percent is to one decimal, and 0 of nothing.
func percent(points, max int) float64 {
	if max <= 0 {
		return 0
	}
	return math.Round(1000*float64(points)/float64(max)) / 10
}
