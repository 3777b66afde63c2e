package course

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// located is a value of a YAML file and the line that it stands on; line 0 says
// that the file has no such value.
type located[T any] struct {
	value T
	line  int
}

func (l *located[T]) UnmarshalYAML(n *yaml.Node) error {
	l.line = n.Line
	// The decoder alone would cut 59.5 to 59.
	if _, whole := any(l.value).(int); whole && n.ShortTag() != "!!int" {
		text := fmt.Sprintf("line %d: cannot unmarshal %s `%s` into int", n.Line, n.ShortTag(), n.Value)
		return &yaml.TypeError{Errors: []string{text}}
	}
	return n.Decode(&l.value)
}

// The raw forms mirror lab.yaml key by key.
type (
	rawLab struct {
		ID      located[string]   `yaml:"id"`
		Title   located[string]   `yaml:"title"`
		Package located[string]   `yaml:"package"`
		Imports []located[string] `yaml:"imports"`
		Base    bool              `yaml:"base"` // grade handout writes it
		Parts   []rawPart         `yaml:"parts"`
	}
	rawPart struct {
		ID     located[string]   `yaml:"id"`
		Title  located[string]   `yaml:"title"`
		Points located[int]      `yaml:"points"`
		Files  []located[string] `yaml:"files"`
		Hints  []located[string] `yaml:"hints"`
		Tests  []rawTest         `yaml:"tests"`
	}
	rawTest struct {
		Name   located[string] `yaml:"name"`
		Points located[int]    `yaml:"points"`
	}
)

// problem is what is wrong in a YAML file of a lab, and where.
type problem struct {
	file string // relative to the root, with slashes
	line int    // 0: the file as a whole
	what string
}

func (p *problem) Error() string {
	if p.line == 0 {
		return p.file + ": " + p.what
	}
	return fmt.Sprintf("%s:%d: %s", p.file, p.line, p.what)
}

// readLab reads, checks and converts labs/<name>/lab.yaml.
func readLab(root, name string) (Lab, error) {
	file := "labs/" + name + "/lab.yaml"
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
	if errors.Is(err, os.ErrNotExist) {
		return Lab{}, &problem{file: file, what: "is missing: every folder under labs needs one"}
	}
	if err != nil {
		return Lab{}, err
	}
	raw, err := decode[rawLab](file, text)
	if err != nil {
		return Lab{}, err
	}
	c := checker{file: file, dir: filepath.Join(root, "labs", name), folder: name}
	if err := c.lab(raw); err != nil {
		return Lab{}, err
	}
	lab := raw.lab()
	for i := range lab.Parts {
		lab.Parts[i].Scenario = c.scenario(lab.Parts[i])
	}
	return lab, nil
}

// decode parses the text strictly: an unknown or a repeated key is an error.
func decode[T any](file string, text []byte) (raw T, err error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	switch err := d.Decode(&raw); {
	case errors.Is(err, io.EOF):
		return raw, &problem{file: file, what: "is empty"}
	case err != nil:
		return raw, translate(file, err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return raw, &problem{file: file, what: "holds more than one YAML document"}
	}
	return raw, nil
}

var (
	yamlLine     = regexp.MustCompile(`line (\d+): `)
	unknownField = regexp.MustCompile(`^field (\S+) not found in type .*`)
	wrongType    = regexp.MustCompile("^cannot unmarshal !!(\\S+)( `.*`)? into (\\S+)")
)

// translate turns the decoder's error, which may list several and names Go
// types, into the first one in the words of the file.
func translate(file string, err error) error {
	text := err.Error()
	if many, ok := errors.AsType[*yaml.TypeError](err); ok {
		text = many.Errors[0]
	}
	p := &problem{file: file, what: strings.TrimPrefix(text, "yaml: ")}
	if m := yamlLine.FindStringSubmatch(p.what); m != nil {
		fmt.Sscan(m[1], &p.line)
		p.what = strings.Replace(p.what, m[0], "", 1)
	}
	if m := unknownField.FindStringSubmatch(p.what); m != nil {
		p.what = fmt.Sprintf("unknown key %q", m[1])
	}
	if m := wrongType.FindStringSubmatch(p.what); m != nil {
		want := "a list or a group of keys"
		switch m[3] {
		case "int":
			want = "a whole number"
		case "string":
			want = "text"
		}
		p.what = fmt.Sprintf("found %s%s, want %s", m[1], m[2], want)
	}
	return p
}

// lab converts what the checker has passed.
func (r rawLab) lab() Lab {
	l := Lab{ID: r.ID.value, Title: r.Title.value, Package: r.Package.value, Imports: values(r.Imports), Base: r.Base}
	for _, p := range r.Parts {
		part := Part{ID: p.ID.value, Title: p.Title.value, Points: p.Points.value,
			Files: values(p.Files), Hints: values(p.Hints)}
		for _, t := range p.Tests {
			part.Tests = append(part.Tests, Test{Name: t.Name.value, Points: t.Points.value})
		}
		l.Parts = append(l.Parts, part)
	}
	return l
}

func values(list []located[string]) []string {
	var out []string
	for _, v := range list {
		out = append(out, v.value)
	}
	return out
}
