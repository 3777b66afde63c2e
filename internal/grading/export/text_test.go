package export

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/result"
	"distlabs/internal/harness/report"
)

// noControl fails on a character that a terminal or a parser could obey.
func noControl(t *testing.T, s string, allowed string) {
	t.Helper()
	require.True(t, utf8.ValidString(s))
	for _, r := range s {
		if (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) && !strings.ContainsRune(allowed, r) {
			t.Fatalf("%q in %q", r, s)
		}
	}
}

// checkJUnit holds a file against the schema of Jenkins's JUnit plugin (elements,
// attributes, order) and the characters of XML 1.0 (§2.2).
func checkJUnit(t *testing.T, text []byte) (suites []junitSuite) {
	for _, r := range string(text) {
		ok := r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000
		if !ok {
			t.Fatalf("XML 1.0 forbids %U", r)
		}
	}
	require.True(t, bytes.HasPrefix(text, []byte(`<?xml version="1.0" encoding="UTF-8"?>`)))
	children := map[string]string{"": "testsuites", "testsuites": "testsuite", "testsuite": "testcase system-out",
		"testcase": "properties failure error skipped", "properties": "property", "property": "", "failure": "", "error": "", "skipped": "", "system-out": ""}
	attributes := map[string]string{"testsuites": "name", "testsuite": "name tests failures errors skipped time", "testcase": "classname name time file",
		"property": "name value", "failure": "message type", "error": "message type", "skipped": "message type"}
	d := xml.NewDecoder(bytes.NewReader(text))
	d.Strict = true
	var open []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		switch e := token.(type) {
		case xml.StartElement:
			parent := ""
			if len(open) > 0 {
				parent = open[len(open)-1]
			}
			require.Contains(t, strings.Fields(children[parent]), e.Name.Local, "in %q", parent)
			for _, a := range e.Attr {
				require.Contains(t, strings.Fields(attributes[e.Name.Local]), a.Name.Local)
			}
			open = append(open, e.Name.Local)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if strings.TrimSpace(string(e)) != "" {
				require.Contains(t, []string{"failure", "error", "skipped", "system-out"}, open[len(open)-1])
			}
		case xml.ProcInst:
		default:
			t.Fatalf("%T in it", token)
		}
	}
	var all struct {
		Suites []junitSuite `xml:"testsuite"`
	}
	require.NoError(t, xml.Unmarshal(text, &all))
	for _, s := range all.Suites {
		var counted junitSuite
		for _, c := range s.Cases {
			counted.add(c)
			_, err := strconv.ParseFloat(c.Time, 64)
			require.NoError(t, err)
		}
		require.Equal(t, []int{s.Tests, s.Failures, s.Errors, s.Skipped}, []int{counted.Tests, counted.Failures, counted.Errors, counted.Skipped})
	}
	return all.Suites
}

func TestJUnit(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, JUnit(&out, OfResults(sample())))
	suites := checkJUnit(t, out.Bytes())
	require.Len(t, suites, 2)
	require.Equal(t, "alice/04-election", suites[1].Name)
	require.Equal(t, []int{5, 1, 1, 1}, []int{suites[1].Tests, suites[1].Failures, suites[1].Errors, suites[1].Skipped})
	require.Equal(t, "labs/04-election/raft.go", suites[1].Cases[2].File)
	require.Equal(t, "race", suites[1].Cases[3].Error.Type)
	require.Equal(t, "refused", suites[0].Cases[0].Error.Type)
	golden(t, "junit.xml", out.Bytes())

	out.Reset()
	require.NoError(t, JUnit(&out, someClass()))
	require.Len(t, checkJUnit(t, out.Bytes()), 2+2+2+1)
	eachHostile(t, func(t *testing.T, bad string, r *result.Result) {
		var out bytes.Buffer
		require.NoError(t, JUnit(&out, OfResults(r)))
		require.Len(t, checkJUnit(t, out.Bytes()), 2)
	})
}

// readVPL reads an evaluation's output as VPL does: the grade is the last line
// that begins with the tag, wherever it stands; between <|-- and --|> is a comment.
func readVPL(t *testing.T, text string) (mark float64, blocks [][]string) {
	tags := regexp.MustCompile(`(?m)^Grade :=>>(.*)$`).FindAllStringSubmatch(text, -1)
	require.Len(t, tags, 1, "one grade only")
	mark, err := strconv.ParseFloat(strings.TrimSpace(tags[0][1]), 64)
	require.NoError(t, err)
	inside := false
	for l := range strings.Lines(text) {
		l = strings.TrimRight(l, "\n")
		noControl(t, l, "")
		switch {
		case l == "<|--":
			require.False(t, inside)
			inside = true
			blocks = append(blocks, nil)
		case l == "--|>":
			require.True(t, inside)
			inside = false
		case inside:
			require.Contains(t, "->", l[:1], "a line of a block is a title or as it is: %q", l)
			blocks[len(blocks)-1] = append(blocks[len(blocks)-1], l)
		default:
			require.Regexp(t, `^(Grade :=>> .*)?$`, l, "nothing is outside")
		}
	}
	require.False(t, inside)
	require.True(t, strings.HasSuffix(text, tags[0][0]+"\n"), "the grade is the last line")
	for _, block := range blocks {
		require.Equal(t, byte('-'), block[0][0], "a title")
		require.NotRegexp(t, `\(-[0-9.]+\)$`, block[0], "VPL would take this for a reduction")
		for _, l := range block[1:] {
			require.Equal(t, byte('>'), l[0])
		}
	}
	return mark, blocks
}

func TestVPL(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, VPL(&out, sample(), 10))
	mark, blocks := readVPL(t, out.String())
	require.InDelta(t, 10*13.0/80, mark, 1e-9)
	require.Len(t, blocks, 1+6)
	golden(t, "vpl.txt", out.Bytes())

	out.Reset()
	require.NoError(t, VPL(&out, sample(), 0))
	mark, _ = readVPL(t, out.String())
	require.InDelta(t, 13, mark, 0)
	require.Error(t, VPL(&out, sample(), -1))
	eachHostile(t, func(t *testing.T, bad string, r *result.Result) {
		var out bytes.Buffer
		require.NoError(t, VPL(&out, r, 0))
		if r.Ungraded != "" { // no grade, and no text that could be one
			readVPL(t, out.String()+"\nGrade :=>> 7\n")
			return
		}
		mark, _ := readVPL(t, out.String())
		require.InDelta(t, float64(r.Points), mark, 0)
	})
}

// A workflowCommand is one line as GitHub's runner reads it.
type workflowCommand struct {
	name       string
	properties map[string]string
	message    string
}

var commandLine = regexp.MustCompile(`^::([a-z-]+)(?: ([^:]*))?::(.*)$`)

// readCommands reads a step's output as the runner does. Each line must be one
// of the two commands that annotate.
func readCommands(t *testing.T, text string) (commands []workflowCommand) {
	unescape := strings.NewReplacer("%25", "%", "%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",")
	for l := range strings.Lines(text) {
		l = strings.TrimSuffix(l, "\n")
		noControl(t, l, "")
		require.NotContains(t, l, "##[", "a command of the old form")
		match := commandLine.FindStringSubmatch(l)
		require.NotNil(t, match, "%q is no command", l)
		c := workflowCommand{name: match[1], message: unescape.Replace(match[3]), properties: map[string]string{}}
		require.Contains(t, []string{"error", "notice"}, c.name)
		for _, p := range strings.Split(match[2], ",") {
			key, value, found := strings.Cut(p, "=")
			require.True(t, found)
			require.Contains(t, []string{"file", "line", "title"}, key)
			require.NotContains(t, c.properties, key)
			c.properties[key] = unescape.Replace(value)
		}
		if line, ok := c.properties["line"]; ok {
			require.Regexp(t, `^[0-9]+$`, line)
			require.Regexp(t, `\.go$`, c.properties["file"])
		}
		commands = append(commands, c)
	}
	kinds := map[string]int{}
	for _, c := range commands {
		if kinds[c.name]++; kinds[c.name] > 10 {
			t.Fatalf("GitHub shows ten annotations of a kind, here are more %ss", c.name)
		}
	}
	return commands
}

func TestAnnotations(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, Annotations(&out, sample()))
	commands := readCommands(t, out.String())
	require.Len(t, commands, 3)
	require.Equal(t, map[string]string{"file": "labs/04-election/raft.go", "line": "41", "title": "4C TestOneLeaderPerTerm4C"}, commands[1].properties)
	require.Equal(t, map[string]string{"file": "labs/04-election/raft.go", "line": "88", "title": "4C TestVoteIsKept4C"}, commands[2].properties, "a file without a path is the lab's")
	require.Equal(t, strings.TrimRight(sample().Labs[1].Parts[1].Tests[0].Failures[0].Text(), "\n"), commands[1].message)
	golden(t, "github-annotations.txt", out.Bytes())

	out.Reset()
	require.NoError(t, Annotations(&out, long()))
	commands = readCommands(t, out.String())
	require.Len(t, commands, 11)
	require.Equal(t, "391 more failures are in the summary of this job", commands[10].message)
	eachHostile(t, func(t *testing.T, bad string, r *result.Result) {
		var out bytes.Buffer
		require.NoError(t, Annotations(&out, r))
		readCommands(t, out.String())
	})
	require.NoError(t, Annotations(&out, sum(&result.Result{Labs: []result.Lab{{Parts: []result.Part{{Tests: []result.Test{
		{Name: "TestX", Status: report.Fail, Failures: []report.Failure{{Where: "a.go:1,col=2::x"}}}}}}}}})))
}

// Outside of code blocks, a summary has only lines of the forms that we write,
// and in them no text of a student's but what is escaped.
func checkSummary(t *testing.T, text string) {
	fence := ""
	for l := range strings.Lines(text) {
		l = strings.TrimSuffix(l, "\n")
		noControl(t, l, "")
		ticks := regexp.MustCompile("^ {0,3}(`{3,})$").FindStringSubmatch(l)
		switch {
		case fence != "":
			if ticks != nil && len(ticks[1]) >= len(fence) {
				fence = ""
			}
		case ticks != nil:
			fence = ticks[1]
		default:
			require.Regexp(t, "^(|## \\d+ of \\d+ points|## Not graded|\\|.*\\||### .*|\\d+ more failures do not fit in here\\.)$", l)
			if strings.HasPrefix(l, "|") {
				require.Len(t, regexp.MustCompile(`(^|[^\\])\|`).FindAllString(l, -1), 4, "three columns: %s", l)
			}
			if strings.HasPrefix(l, "| part") || strings.HasPrefix(l, "|--") {
				continue
			}
			require.NotRegexp(t, "(^|[^\\\\])[<`\\[\\]*@]", l, "unescaped")
		}
	}
	require.Empty(t, fence, "every code block ends")
}

func TestSummary(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, Summary(&out, sample()))
	checkSummary(t, out.String())
	golden(t, "github-summary.md", out.Bytes())

	// A line that is a fence, and ends a code block that has a shorter one.
	r := sample()
	r.Labs[1].Parts[1].Tests[0].Failures = []report.Failure{{What: "````", Rule: "x"}, {What: "```"}}
	out.Reset()
	require.NoError(t, Summary(&out, r))
	require.Contains(t, out.String(), "\n`````\n````\n    rule:    x\n")
	checkSummary(t, out.String())
	eachHostile(t, func(t *testing.T, bad string, r *result.Result) {
		var out bytes.Buffer
		require.NoError(t, Summary(&out, r))
		checkSummary(t, out.String())
	})
}

// checkCSV reads a table and fails on a cell that a spreadsheet would obey.
func checkCSV(t *testing.T, text []byte) [][]string {
	r := csv.NewReader(bytes.NewReader(text))
	rows, err := r.ReadAll() // every row has as many cells as the first
	require.NoError(t, err)
	for _, row := range rows {
		for _, c := range row {
			noControl(t, c, "")
			require.NotRegexp(t, "^\\s*[=+\\-@\uFF1D\uFF0B\uFF0D\uFF20]", c)
		}
	}
	return rows
}

func TestCSV(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, CSV(&out, someClass()))
	rows := checkCSV(t, out.Bytes())
	require.Len(t, rows, 1+4)
	golden(t, "class.csv", out.Bytes())
	eachHostile(t, func(t *testing.T, bad string, r *result.Result) {
		var out bytes.Buffer
		require.NoError(t, CSV(&out, OfResults(r)))
		require.Len(t, checkCSV(t, out.Bytes()), 2)
	})
	broken := errors.New("broken")
	class := func(yield func(Student, error) bool) { yield(Student{}, broken) }
	require.ErrorIs(t, CSV(&out, class), broken)
	require.ErrorIs(t, JUnit(&out, class), broken)
	require.ErrorIs(t, ClassPage(&out, "", class, nil), broken)
}
