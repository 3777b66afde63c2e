package export

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"os"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"distlabs/internal/grading/result"
)

// exported is a gradebook as Canvas exports it, with what a careless rewriting
// would lose: quotes that need not be, a comma in a name, a line break in a
// cell, spaces, CRLF, a byte order mark, a formula, no line break at the end.
func exported(t *testing.T) []byte {
	text, err := os.ReadFile("testdata/canvas-exported.csv")
	require.NoError(t, err)
	return text
}

// fillCanvas fills a column and checks that no other byte has changed.
func fillCanvas(t *testing.T, gradebook []byte, column string, class Class) ([]byte, CanvasReport) {
	t.Helper()
	var out bytes.Buffer
	r, err := Canvas(&out, gradebook, column, class)
	require.NoError(t, err)
	before, err := parseGradebook(gradebook)
	require.NoError(t, err)
	after, err := parseGradebook(out.Bytes())
	require.NoError(t, err)
	at := -1
	for i := range before.records[0].cells {
		if before.records[0].value(i) == r.Column {
			at = i
		}
	}
	require.Len(t, after.records, len(before.records))
	changed := 0
	for i := range before.records {
		old, now := before.records[i], after.records[i]
		if old.value(at) != now.value(at) {
			changed++
			require.Regexp(t, `^[0-9]+([.,][0-9]{1,2})?$`, now.cells[at], "what is written is a number")
		}
		if at < len(old.cells) {
			now.cells[at] = old.cells[at]
		}
		require.Empty(t, cmp.Diff(old.cells, now.cells[:len(old.cells)]))
	}
	require.LessOrEqual(t, changed, r.Filled)
	return out.Bytes(), r
}

func TestCanvas(t *testing.T) {
	class := OfResults(
		perfect("1001", ""),                       // by ID
		perfect("BOB@school.example", ""),         // by SIS Login ID, in another case
		sample(),                                  // alice, by SIS Login ID
		perfect("S-4", ""),                        // by SIS User ID
		perfect("dohjoe_LATE_1005_777_lab04", ""), // as Canvas lets one download it
		perfect("nobody", ""),
		perfect("1006", ""), perfect("fay", ""), // twice the same student
		corrupt("1007"),
	)
	out, r := fillCanvas(t, exported(t), "Lab 4", class)
	require.Empty(t, cmp.Diff(CanvasReport{Column: "Lab 4 (12345)", Possible: 20, Filled: 5, Unknown: []string{"nobody"}, Unsure: []string{"1006", "fay"},
		Ungraded: []string{"1007"}, Empty: []string{"Zed, No Submission", "Student, Test"}, Replaced: []string{"Brown, Bob (3)"}}, r))
	golden(t, "canvas-filled.csv", out)

	// Canvas reads CSV as Ruby's library does: like Go's.
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(out, []byte(byteOrderMark)))).ReadAll()
	require.NoError(t, err)
	require.Equal(t, "    Points Possible", rows[2][0], "four leading spaces")
	points := map[string]string{}
	for _, row := range rows[3:] {
		points[row[1]] = row[6]
	}
	require.Equal(t, map[string]string{"1001": "20", "1002": "20", "1003": "3.25", "1004": "20", "1005": "20", "1006": "", "1007": "7", "1008": "EX", "1009": ""}, points)
}

// Where two students could be meant, nobody gets the points.
func TestCanvasIsUnsure(t *testing.T) {
	gradebook := "Student,ID,SIS User ID,SIS Login ID,Section,Lab 4 (1)\n    Points Possible,,,,,100\n\"A, B\",1,2,a,S,\n\"C, D\",2,1,c,S,\n"
	out, r := fillCanvas(t, []byte(gradebook), "Lab 4 (1)", OfResults(perfect("1", "")))
	require.Equal(t, []string{"1"}, r.Unsure)
	require.Equal(t, gradebook, string(out))
}

// A class that was downloaded from Canvas and graded by grade batch has ids without the number of the attachment. The
// downloaded names keep it.
func TestCanvasRoundTrip(t *testing.T) {
	const gradebook = byteOrderMark + "Student,ID,SIS User ID,SIS Login ID,Section,Notes,Lab 4 (5001),Labs Final Score\n,,,,,Manual Posting,Manual Posting,Manual Posting\n" +
		"    Points Possible,,,,,,100.00,(read only)\n\"Example, Ada\",111,a111,ada1,S,,,\n\"Example, Bob \"\"B\"\"\",112,a112,bob1,S,,,\n\"O'Example, Kim\",113,a113,kim1,S,,,\n"
	_, r := fillCanvas(t, []byte(gradebook), "Lab 4", OfResults(perfect("exampleada_111", ""), perfect("examplebob_LATE_112_223_lab04-1", ""), perfect("oexample-kim_113", "")))
	require.Equal(t, 3, r.Filled)
	require.Empty(t, r.Unknown)
}

// An instructor's word is not overwritten; a number is, and the report says so.
func TestCanvasKeepsWords(t *testing.T) {
	for _, word := range []string{"EX", "N/A", "Excused", "-", "A-", "complete"} {
		gradebook := "Student,ID,SIS Login ID,Section,Lab 4 (1)\n    Points Possible,,,,20\nx,1,x,S," + word + "\ny,2,y,S,7.5\n"
		out, r := fillCanvas(t, []byte(gradebook), "Lab 4", OfResults(perfect("1", ""), perfect("2", "")))
		require.Equal(t, []string{"x (" + word + ")"}, r.Kept)
		require.Equal(t, []string{"y (7.5)"}, r.Replaced)
		require.Contains(t, string(out), "x,1,x,S,"+word+"\ny,2,y,S,20\n")
	}
}

// An assignment has a number after its name, whatever that is; Canvas's own columns have none.
func TestCanvasColumns(t *testing.T) {
	for _, name := range []string{"Final Lab Grade (5)", "Current Score (5)", "Override Grade for Lab 4 (5)", "Lab Final Score (5)", "Notes (5)"} {
		gradebook := "Student,ID,Section," + name + ",Final Score\n    Points Possible,,,20,(read only)\nx,1,S,,\n"
		_, r := fillCanvas(t, []byte(gradebook), name, OfResults(perfect("1", "")))
		require.Equal(t, 1, r.Filled, name)
	}
	for _, name := range []string{"Labs Current Score", "Unposted Final Grade", "Override Status", "Section", "Notes", "Current Score (Autumn)"} {
		gradebook := "Student,ID,Section,Notes,Lab (5)," + name + "\nx,1,S,,,\n"
		_, err := Canvas(&bytes.Buffer{}, []byte(gradebook), name, OfResults(perfect("1", "")))
		require.ErrorContains(t, err, "no column", name)
	}
}

// A spreadsheet program may have put the columns in another order, and the file into UTF-16 with tabs.
func TestCanvasFromASpreadsheet(t *testing.T) {
	const gradebook = byteOrderMark + "Lab 4 (1)\tSection\tSIS Login ID\tStudent\r\n20\t\t\t    Points Possible\r\n\tS\té\tÉ, X\r\n"
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		var wide []byte
		for _, unit := range utf16.Encode([]rune(gradebook)) {
			wide = order.AppendUint16(wide, unit)
		}
		var out bytes.Buffer
		r, err := Canvas(&out, wide, "Lab 4", OfResults(perfect("é", "")))
		require.NoError(t, err)
		require.Equal(t, 1, r.Filled)
		require.Equal(t, strings.Replace(gradebook, "\n\tS", "\n20\tS", 1), out.String())
	}
}

// Moodle's worksheet: found by the number of the participant or by address.
func TestMoodle(t *testing.T) {
	const sheet = byteOrderMark + "Identifier,\"Full name\",\"Email address\",Status,Grade,\"Maximum Grade\",\"Feedback comments\"\n" +
		"\"Participant 10001\",\"Ada Example\",ada@school.example,Submitted,,10.00,\n\"Participant 10003\",\"Bob Example\",bob@school.example,Submitted,,10.00,\"=1\"\n" +
		"Participant 10004,Cleo,cleo@school.example,,4.00,10.00,\nParticipant 1,Dan,dan@school.example,,,10.00,\n"
	var out bytes.Buffer
	r, err := Moodle(&out, []byte(sheet), "", OfResults(perfect("Ada_Example_10001", ""), perfect("BOB@school.example", ""), corrupt("Cleo_10004"), perfect("Eve_20001", "")))
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(CanvasReport{Column: "Grade", Filled: 2, Unknown: []string{"Eve_20001"}, Ungraded: []string{"Cleo_10004"}, Empty: []string{"Dan"}}, r))
	want := strings.Replace(sheet, "Submitted,,10.00", "Submitted,10,10.00", 2)
	require.Equal(t, want, out.String())
	for _, bad := range []string{"", "Student,ID\n", "Identifier,Note\n", "Identifier,\"G"} {
		_, err := Moodle(&out, []byte(bad), "", OfResults())
		require.ErrorIs(t, err, ErrWorksheet)
	}
}

func TestCanvasWithSemicolons(t *testing.T) {
	gradebook := "Student;ID;SIS Login ID;Section;Lab 4 (1)\r\n    Points Possible;;;;12,5\r\nA, B;1;a;S\r\n"
	out, _ := fillCanvas(t, []byte(gradebook), "Lab 4", OfResults(sample(), perfect("1", "")))
	require.Contains(t, string(out), "\r\nA, B;1;a;S;12,5\r\n")
}

func TestCanvasRefuses(t *testing.T) {
	head := "Student,ID,SIS Login ID,Section,Lab 4 (1),Lab 4 (2),Quiz (3),Final Score,Current Points\n    Points Possible,,,,10,10,(read only),(read only),(read only)\nx,1,x,S,,,\n"
	for _, tc := range []struct{ name, gradebook, column, want string }{
		{"no such column", head, "Lab 5", `no column "Lab 5" to fill; it has "Lab 4 (1)", "Lab 4 (2)", "Quiz (3)"`},
		{"two of the name", head, "Lab 4", `2 columns "Lab 4": give the number too`},
		{"read-only", head, "Quiz", `the column "Quiz (3)" is read-only`},
		{"Canvas's own", head, "Final Score", `no column "Final Score"`},
		{"a student's column", head, "SIS Login ID", `no column "SIS Login ID"`},
		{"another file", "name,grade\nx,1\n", "Lab 4", `the first line is "name,grade x,1", want the columns Student and ID`},
		{"cut off", "Student,ID,\"Sec", "Lab 4", "record 1: a quoted cell does not end"},
		{"empty", "", "Lab 4", "want the columns Student and ID"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			_, err := Canvas(&out, []byte(tc.gradebook), tc.column, OfResults(sample()))
			require.ErrorContains(t, err, tc.want)
			require.Zero(t, out.Len())
		})
	}
}

func TestCanvasHostile(t *testing.T) {
	eachHostile(t, func(t *testing.T, bad string, r *result.Result) {
		fillCanvas(t, exported(t), "Lab 4", OfResults(r))
	})
}

// Whatever the file is, it is the same when it is written again, and what
// encoding/csv can read is read alike.
func TestRawCSVKeepsEveryByte(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.RuneFrom([]rune("ab \",;\r\n\ufeff=é"))).Draw(t, "file")
		f, err := parseRawCSV([]byte(text), ',')
		if err != nil {
			require.Contains(t, err.Error(), "a quoted cell does not end")
			return
		}
		require.Equal(t, text, string(f.bytes()))
	})
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.SliceOfN(rapid.StringOf(rapid.RuneFrom([]rune("ab\",\n="))), 2, 2), 1, 4).Draw(t, "rows")
		var b strings.Builder
		require.NoError(t, csv.NewWriter(&b).WriteAll(rows))
		f, err := parseRawCSV([]byte(b.String()), ',')
		require.NoError(t, err)
		require.Len(t, f.records, len(rows))
		for i, row := range rows {
			require.Len(t, f.records[i].cells, len(row))
			for j, want := range row {
				require.Equal(t, strings.TrimSpace(want), f.records[i].value(j))
			}
		}
	})
}
