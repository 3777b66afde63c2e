package export

import (
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"distlabs/internal/grading/result"
	"distlabs/internal/harness/report"
)

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
	Out      string      `xml:"system-out,omitempty"`
}

type junitCase struct {
	Class      string           `xml:"classname,attr"`
	Name       string           `xml:"name,attr"`
	Time       string           `xml:"time,attr"`
	File       string           `xml:"file,attr,omitempty"`
	Properties *junitProperties `xml:"properties"`
	Failure    *junitProblem    `xml:"failure"`
	Error      *junitProblem    `xml:"error"`
	Skipped    *junitProblem    `xml:"skipped"`
}

type junitProperties struct {
	List []junitProperty `xml:"property"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// JUnit writes the XML that JUnit reporters of CI systems read (the schema of
// Jenkins's JUnit plugin): one testsuite a student and lab.
//
// A broken rule is a failure; what ended the test from outside (a panic, a race,
// code that does not compile) is an error. Characters that XML 1.0 forbids are
// left out: there is no way to write them.
func JUnit(w io.Writer, class Class) error {
	if err := write(w, "junit", []byte(xml.Header+"<testsuites name=\"distlabs\">\n")); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("  ", "  ")
	for s, err := range class {
		if err != nil {
			return err
		}
		for _, suite := range junitSuites(s) {
			if err := e.Encode(suite); err != nil {
				return fmt.Errorf("export: junit: %w", err)
			}
		}
	}
	return write(w, "junit", []byte("\n</testsuites>\n"))
}

func junitSuites(s Student) []junitSuite {
	if s.Result == nil || len(s.Result.Labs) == 0 {
		why := s.Missing
		if s.Result != nil {
			why = s.Result.Ungraded
		}
		return []junitSuite{{Name: line(s.ID), Tests: 1, Errors: 1, Time: "0", Cases: []junitCase{
			{Class: line(s.ID), Name: "graded", Time: "0", Error: &junitProblem{Message: line(why), Type: "ungraded"}},
		}}}
	}
	var suites []junitSuite
	for i := range s.Result.Labs {
		lab := &s.Result.Labs[i]
		suite := junitSuite{Name: line(lab.ID), Out: overall(&result.Result{Grader: s.Result.Grader, Go: s.Result.Go,
			Isolation: s.Result.Isolation, Labs: []result.Lab{*lab}})}
		if s.ID != "" {
			suite.Name = line(s.ID) + "/" + suite.Name
		}
		total := 0.0
		for j := range lab.Parts {
			for k := range lab.Parts[j].Tests {
				t := &lab.Parts[j].Tests[k]
				total += t.Real
				suite.add(junitTest(s.Result, lab, &lab.Parts[j], t))
			}
		}
		suite.Time = junitSeconds(total)
		suites = append(suites, suite)
	}
	return suites
}

// add counts and appends a case.
func (s *junitSuite) add(c junitCase) {
	s.Tests++
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Error != nil:
		s.Errors++
	case c.Skipped != nil:
		s.Skipped++
	}
	s.Cases = append(s.Cases, c)
}

func junitTest(r *result.Result, lab *result.Lab, part *result.Part, t *result.Test) junitCase {
	c := junitCase{Class: line(lab.ID + "." + part.ID), Name: line(t.Name), Time: junitSeconds(t.Real)}
	list := []junitProperty{{"points", strconv.Itoa(t.Points)}, {"max points", strconv.Itoa(t.Max)}}
	for _, m := range t.Measures {
		list = append(list, junitProperty{line(m.Name), line(m.Number() + " " + m.Unit)})
	}
	c.Properties = &junitProperties{list}
	problem := &junitProblem{Text: account(r, lab, t)}
	switch {
	case r.Ungraded != "":
		problem.Message, problem.Type, c.Error = line(r.Ungraded), "ungraded", problem
	case lab.Refused != "":
		problem.Message, problem.Type, c.Error = line(lab.Refused), "refused", problem
	case t.Status == report.Skip:
		problem.Message, problem.Text, c.Skipped = line(t.Skipped), "", problem
	case t.Status != report.Pass:
		problem.Type = string(report.Malformed)
		if len(t.Failures) > 0 {
			f := t.Failures[0]
			problem.Message, problem.Type, c.File = headline(f), line(string(f.Kind)), placeOf(lab, f).file
		}
		if fromOutside[report.Kind(problem.Type)] {
			c.Error = problem
		} else {
			c.Failure = problem
		}
	}
	return c
}

// fromOutside are the failures that no test asserted.
var fromOutside = map[report.Kind]bool{report.Panic: true, report.Race: true, report.Exit: true, report.Malformed: true}

func junitSeconds(s float64) string { return strconv.FormatFloat(s, 'f', 3, 64) }

// place is where a failure was seen; its file is "" if that is not known.
type place struct {
	file string
	line int // 0: not known
}

var fileLine = regexp.MustCompile(`^([^:]+\.go):([0-9]+)$`)

// placeOf reads the place of a failure in a lab: a file relative to the course's
// root, or in the lab's folder if it has no path. Anything else that stands there
// is not taken for a file.
func placeOf(lab *result.Lab, f report.Failure) place {
	match := fileLine.FindStringSubmatch(f.Where)
	if match == nil || line(match[1]) != match[1] {
		return place{}
	}
	n, err := strconv.Atoi(match[2])
	if err != nil {
		return place{}
	}
	file := match[1]
	if !strings.Contains(file, "/") {
		file = "labs/" + line(lab.ID) + "/" + file
	}
	return place{file: file, line: n}
}
