package handout

import (
	"bytes"
	"errors"
	"go/version"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"distlabs/internal/grading/course"
)

// page is what README.md tells a student.
var page = template.Must(template.New("README.md").Parse(`# Distributed systems labs

You write the systems, in ordinary Go. They run on [labrpc](labrpc/doc.go), a simulated network that loses, duplicates, delays
and reorders messages, cuts links and crashes machines, in virtual time: a minute of protocol takes milliseconds, and the
same seed gives the same run.

You need Go {{.Go}} or later, and a C compiler for the race detector.{{if .Command}} This checks both (the first time, it takes up to a minute):

` + "```" + `
go run ./cmd/grade doctor
` + "```" + `{{end}}

## The labs

| lab | parts |
|---|---|
{{range .Labs}}| [{{.Number}} {{.Title}}]({{.Dir}}/README.md) | {{range $i, $p := .Parts}}{{if $i}}, {{end}}{{$p.ID}} {{$p.Title}} ({{$p.Points}}){{end}} |
{{end}}
{{- if .Bases}}
{{range .Bases}}[{{.Number}} {{.Title}}]({{.Dir}}/README.md) is here because another lab builds on it{{if $.WithBase}}: it is a reference, not yours to write{{else}}: if you have solved it before, copy your files into its folder{{end}}.
{{end}}
{{- end}}
Each lab's README is one page: the problem, what you write, the rules that the tests hold you to, the parts and their points, and
hints. *In a lab's folder ` + "`_test.go`" + ` is ours and every other ` + "`.go`" + ` is yours; outside ` + "`labs/`" + ` nothing is yours.*

Your code may import what the lab's stubs import, and packages of the standard library that only compute, such as ` + "`maps`, `sort`, `strconv` and `math/rand/v2`" + `.
The grader refuses package variables that change, struct tags, ` + "`os`, `net`, `reflect` and `unsafe`" + `: with them nodes could share memory, or a test would not see what a message
holds.{{if .Command}} ` + "`go run ./cmd/grade run`" + ` says what it refuses, with the file and the line.{{end}}

## Working on a lab

` + "```" + `
go test -race ./{{.First.Dir}}
go test -race -run {{.Part}} ./{{.First.Dir}}
{{- if .Command}}
go run ./cmd/grade run {{.First.Number}}
{{- end}}
` + "```" + `

The first runs all tests of a lab, the second one part{{if .Command}}, the third shows the points{{end}}. A failing test prints
the rule that was broken, the evidence, and a command that shows the same run again.
{{- if .Command}}

` + "```" + `
go run ./cmd/grade                     # watch: run what a saved file affects, and show the first failure
go run ./cmd/grade list                # the labs, their parts, tests and points
go run ./cmd/grade hint {{.Part}}             # the next hint for a part
go run ./cmd/grade replay {{.First.Number}} {{.Test}}   # one run of a test as a page: its path is printed
go run ./cmd/grade replay {{.First.Number}} {{.Test}} --format text
go run ./cmd/grade advice {{.First.Number}}           # mistakes that matter when machines crash
go run ./cmd/grade reset {{.Part}}            # the stub again; your code is kept in a backup
` + "```" + `

A failing test leaves the record of its run in the lab's folder ` + "`.labs`" + `; ` + "`go run ./cmd/grade trace FILE`" + ` draws it.
` + "`go run ./cmd/grade --help`" + ` lists the other commands. Where a message says ` + "`grade`" + `, type ` + "`go run ./cmd/grade`" + `.
{{- end}}

Hand in the files that *What you write* in the lab's README names: only these are graded.
`))

// readme writes the page.
func (m *maker) readme() error {
	goVersion, err := m.goVersion()
	if err != nil {
		return err
	}
	_, err = os.Stat(filepath.Join(m.root, filepath.FromSlash(command)))
	var text bytes.Buffer
	first := m.made.Labs[0]
	if err := page.Execute(&text, struct {
		Labs, Bases       []course.Lab
		First             course.Lab
		Part, Test, Go    string
		Command, WithBase bool
	}{m.made.Labs, m.made.Bases, first, first.Parts[0].ID, first.Tests()[0].Name, goVersion, err == nil, m.o.WithBase}); err != nil {
		return err
	}
	return m.write("README.md", text.Bytes())
}

// goVersion is the version of Go that go.mod asks for, without the patch: 1.26.
func (m *maker) goVersion() (string, error) {
	text, err := os.ReadFile(filepath.Join(m.root, "go.mod"))
	if err != nil {
		return "", err
	}
	found := goLine.FindSubmatch(text)
	if found == nil {
		return "", errors.New("go.mod has no line with the version of Go")
	}
	return strings.TrimPrefix(version.Lang("go"+string(found[1])), "go"), nil
}

var goLine = regexp.MustCompile(`(?m)^go (\S+)`)
