package export

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// ErrWorksheet says that a file is no grading worksheet of Moodle's, or has no such column.
var ErrWorksheet = errors.New("export: moodle")

// moodleKeys are the columns, besides Identifier, by which a submission finds its student.
var moodleKeys = []string{"Email address", "ID number", "Username"}

var (
	// moodleDownload is the name of a submission as Moodle lets a teacher download it, or the id that grade batch makes
	// of it: Ada_Lovelace_12345, with the participant's number.
	moodleDownload = regexp.MustCompile(`_([0-9]+)(?:_assignsubmission_.*)?$`)
	// moodleParticipant is a cell of the column Identifier: "Participant 12345", in any language.
	moodleParticipant = regexp.MustCompile(`([0-9]+)$`)
)

// Moodle fills the column of grades of a grading worksheet that was downloaded from an assignment of Moodle's, so that
// it can be uploaded again (Moodle, "Offline grading worksheet"). All other cells stay as they are, to the byte.
//
// The column is named by its header; "" is the header Grade. The column Maximum Grade scales the grade. A submission
// belongs to the participant whose number its id ends in, or whose e-mail address, ID number or user name it has for its
// own. Where that is not one student, nothing is written. A cell that says something other than a number stays.
func Moodle(w io.Writer, worksheet []byte, column string, class Class) (CanvasReport, error) {
	g, err := readWorksheet(worksheet, column)
	if err != nil {
		return CanvasReport{}, fmt.Errorf("%w: %w", ErrWorksheet, err)
	}
	return g.fillFrom(class, g.participants, w, "moodle")
}

func readWorksheet(text []byte, column string) (*gradebook, error) {
	text = utf8Of(text)
	for _, comma := range []byte{',', ';', '\t'} {
		file, err := parseRawCSV(text, comma)
		if err != nil || len(file.records) == 0 {
			continue
		}
		g := &gradebook{file: file, header: file.records[0], name: -1}
		if g.find("Identifier") < 0 {
			continue
		}
		if column == "" {
			column = "Grade"
		}
		if g.column = g.find(column); g.column < 0 {
			return nil, fmt.Errorf("the worksheet has no column %q to fill: name one by --column", column)
		}
		g.name, g.maximum = g.find("Full name"), g.find("Maximum Grade")
		for _, key := range moodleKeys {
			if at := g.find(key); at >= 0 {
				g.keys = append(g.keys, at)
			}
		}
		for i, r := range file.records[1:] {
			if r.value(g.find("Identifier")) != "" {
				g.rows = append(g.rows, i+1)
			}
		}
		return g, nil
	}
	return nil, fmt.Errorf("the first line is %q, want the columns Identifier and Grade: is this the grading worksheet that Moodle offers for download?", line(cut(string(text), 80)))
}

// participants lists the rows that a submission's id matches.
func (g *gradebook) participants(id string) []int {
	if rows := g.matching(func(value string) bool { return strings.EqualFold(value, id) }); len(rows) > 0 {
		return rows
	}
	name := moodleDownload.FindStringSubmatch(id)
	if name == nil {
		return nil
	}
	var rows []int
	for _, i := range g.rows {
		if m := moodleParticipant.FindStringSubmatch(g.file.records[i].value(g.find("Identifier"))); m != nil && m[1] == name[1] {
			rows = append(rows, i)
		}
	}
	return rows
}
