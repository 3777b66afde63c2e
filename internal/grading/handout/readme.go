package handout

import (
	"bytes"
	"os"
	"path/filepath"
	"text/template"

	"distlabs/internal/grading/course"
)

// page is what README.md tells a student.
var page = template.Must(template.New("README.md").Parse(`# Distributed systems labs

You write the systems, in ordinary Go. They run on [labrpc](labrpc/doc.go), a simulated network that loses, duplicates, delays
and reorders messages, cuts links and crashes machines, in virtual time: a minute of protocol takes milliseconds, and the
same seed gives the same run.

You need Go and a C compiler (for the race detector).{{if .Command}} This checks both:

` + "```" + `
go run ./cmd/grade doctor
` + "```" + `{{end}}

## The labs

| lab | parts |
|---|---|
{{range .Labs}}| [{{.Number}} {{.Title}}]({{.Dir}}/README.md) | {{range $i, $p := .Parts}}{{if $i}}, {{end}}{{$p.ID}} {{$p.Title}} ({{$p.Points}}){{end}} |
{{end}}
{{- if .Bases}}
{{range .Bases}}[{{.Number}} {{.Title}}]({{.Dir}}/README.md) is here because another lab builds on it{{if $.WithBase}}: it is a reference, not yours to write{{end}}.
{{end}}
{{- end}}
Each lab's README is one page: the problem, what you write, the rules that the tests hold you to, the parts and their points, and
hints. *In a lab's folder ` + "`_test.go`" + ` is ours and every other ` + "`.go`" + ` is yours; outside ` + "`labs/`" + ` nothing is yours.*

## Working on a lab

` + "```" + `
go test -race ./{{.First.Dir}}
go test -race -run {{.Part}} ./{{.First.Dir}}
{{- if .Command}}
go run ./cmd/grade run {{.First.Number}}
{{- end}}
` + "```" + `

The first runs all tests of a lab, the second one part{{if .Command}}, the third shows the points{{end}}. A failing test prints
what broke which rule, and a command that shows it again. Hand in the files that *What you write* in the lab's README names: only these are graded.
`))

// readme writes the page.
func (m *maker) readme() error {
	_, err := os.Stat(filepath.Join(m.root, filepath.FromSlash(command)))
	var text bytes.Buffer
	first := m.made.Labs[0]
	if err := page.Execute(&text, struct {
		Labs, Bases       []course.Lab
		First             course.Lab
		Part              string
		Command, WithBase bool
	}{m.made.Labs, m.made.Bases, first, first.Parts[0].ID, err == nil, m.o.WithBase}); err != nil {
		return err
	}
	return m.write("README.md", text.Bytes())
}
