package export

import (
	"bytes"
	"encoding/csv"
	"os"
	"strings"
	"testing"

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
		Ungraded: []string{"1007"}, Empty: []string{"Zed, No Submission", "Student, Test"}}, r))
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
