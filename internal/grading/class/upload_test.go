package class

import (
	"archive/zip"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"
)

const echoText, shoutText = "package echo", "package echo // shout"

func packed(t *testing.T, files map[string]string) string {
	path := filepath.Join(t.TempDir(), "x.zip")
	f, err := os.Create(path)
	require.NoError(t, err)
	z := zip.NewWriter(f)
	for name, text := range files {
		w, err := z.Create(name)
		require.NoError(t, err)
		_, err = w.Write([]byte(text))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	require.NoError(t, f.Close())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// Every platform's download is a class: each student is there once, with what was handed in, or with a reason that says
// what was there; nobody holds up another.
func TestPlatforms(t *testing.T) {
	both := packed(t, map[string]string{"echo.go": echoText, "shout.go": shoutText})
	old := packed(t, map[string]string{"echo.go": "package echo // old", "shout.go": shoutText})
	for _, tc := range []struct {
		name  string
		files map[string]string
		whys  map[string]string // by id: part of why; "": graded with both files
		notes map[string]string
	}{
		{name: "Canvas", files: map[string]string{"a_1_2_lab 1.zip": both, "b_LATE_3_4_lab-1.zip": both, "c-d_5_6_echo-2.go": echoText, "c-d_5_7_shout.go": shoutText,
			"e_8_9_report.pdf": "%PDF", "f_LATE_10_text.html": "<p>", "g_11_12_lab.rar": "Rar!"},
			whys: map[string]string{"a_1": "", "b_3": "", "c-d_5": "", "e_8": `it has "report.pdf"`, "f_10": `it has "f_LATE_10_text.html"`, "g_11": ".rar archive is not read"}},
		{name: "Canvas, two uploads", files: map[string]string{"a_1_2_lab.zip": both, "a_1_3_notes.zip": both, "b_3_4_lab.zip": both, "b_3_5_older.zip": old, "c_5_6_lab.zip": both, "c_5_7_notes.pdf": "", "d_7_8_lab.zip": both, "d_7_9_x.rar": "Rar!"},
			whys:  map[string]string{"a_1": "", "b_3": `two uploads, "lab.zip" and "older.zip", have different files echo.go`, "c_5": "", "d_7": ""},
			notes: map[string]string{"d_7": `"x.rar" is not read: a .rar archive is not read`}},
		{name: "Canvas, an archive and a file", files: map[string]string{"a_1_2_lab.zip": both, "a_1_3_echo.go": echoText, "b_3_4_lab.zip": both, "b_3_5_echo.go": "package echo // old"},
			whys: map[string]string{"a_1": "", "b_3": `different files echo.go`}},
		{name: "Moodle", files: map[string]string{"Ada E_1_assignsubmission_file_/echo.go": echoText, "Ada E_1_assignsubmission_file_/shout.go": shoutText,
			"Ada E_1_assignsubmission_onlinetext_/onlinetext.html": "<p>", "Bob_2_assignsubmission_onlinetext_/onlinetext.html": "<p>", "Cleo_3_assignsubmission_file_/lab.zip": both},
			whys: map[string]string{"Ada_E_1": "", "Bob_2": `it has "onlinetext.html"`, "Cleo_3": ""}},
		{name: "Moodle without folders", files: map[string]string{"Ada E_1_assignsubmission_file_lab.zip": both, "Bob_2_assignsubmission_file_echo.go": echoText, "Bob_2_assignsubmission_file_shout.go": shoutText,
			"Bob_2_assignsubmission_onlinetext_onlinetext.html": "<p>"},
			whys: map[string]string{"Ada_E_1": "", "Bob_2": ""}},
		{name: "Blackboard", files: map[string]string{"Lab 1_a1_attempt_2026-01-15-10-20-30.txt": "Name: A", "Lab 1_a1_attempt_2026-01-15-10-20-30_lab.zip": old, "Lab 1_a1_attempt_2026-01-16-09-00-00_lab.zip": both,
			"Lab 1_a1_attempt_2026-01-16-09-00-00.txt": "Name: A", "Lab 1_b2_attempt_2026-01-15-10-20-30.txt": "Name: B"},
			whys:  map[string]string{"a1": "", "b2": "it has"},
			notes: map[string]string{"a1": "of several attempts the newest is graded; not read: that of 2026-01-15-10-20-30"}},
		{name: "Brightspace", files: map[string]string{"12-34 - Ada Example - Jan 15, 2026 920 AM - lab.zip": old, "12-34 - Ada Example - Jan 15, 2026 1020 PM - lab.zip": both,
			"56-78 - Bob Example - 3 January, 2026 1405 - echo.go": echoText, "56-78 - Bob Example - 3 January, 2026 1405 - shout.go": shoutText, "index.html": "<p>"},
			whys:  map[string]string{"Ada_Example_12-34": "", "Bob_Example_56-78": ""},
			notes: map[string]string{"Ada_Example_12-34": "not read: that of 2026-01-15 09:20"}},
		{name: "a folder around the class", files: map[string]string{"submissions/a_1_2_lab.zip": both, "submissions/b_3_4_lab.zip": both}, whys: map[string]string{"a_1": "", "b_3": ""}},
		{name: "plain folders", files: map[string]string{"ada/lab.zip": both, "bob/a/b/c/d/e/echo.go": echoText, "bob/a/b/c/d/e/shout.go": shoutText, "cleo/lab/lab.zip": both, "dan/x.zip": packed(t, map[string]string{"lab/lab.zip": both})},
			whys: map[string]string{"ada": "", "bob": "", "cleo": "", "dan": ""}},
		{name: "names that are wrong", files: map[string]string{"a/Echo.go": echoText, "b/echo.go.txt": echoText, "c/echo (1).go": echoText, "d/x.zip": both, "d/y.zip": old, "e/x.zip": packed(t, map[string]string{"1.zip": both, "2.zip": both}),
			"f/old/echo.go": echoText, "f/new/echo.go": echoText, "g/echo.go": "\xff\xfep\x00a\x00", "h/main.go": "package main"},
			whys: map[string]string{"a": `"Echo.go" is nearly echo.go`, "b": `"echo.go.txt" is nearly echo.go`, "c": `"echo (1).go" is nearly echo.go`, "d": `two uploads, "x.zip" and "y.zip"`, "e": `several archives ("1.zip", "2.zip"): hand in one`,
				"f": "in several folders", "g": "echo.go is in UTF-16", "h": `it has "main.go"`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			dir := filepath.Join(t.TempDir(), "class")
			for name, text := range tc.files {
				path := filepath.Join(dir, name)
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
				require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
			}
			check := func(path string) {
				c, err := Find([]string{path})
				require.NoError(t, err)
				defer func() { require.NoError(t, c.Close()) }()
				r, _ := fixture(t)
				require.Len(t, c.Submissions, len(tc.whys))
				for _, s := range c.Submissions {
					want, ok := tc.whys[s.ID]
					require.True(t, ok, s.ID)
					held, why, err := r.read(s)
					require.NoError(t, err, s.ID)
					if want == "" {
						require.Empty(t, why, s.ID)
						require.Equal(t, map[string][]byte{"echo.go": []byte(echoText), "shout.go": []byte(shoutText)}, held["01-echo"].Text, s.ID)
						require.Contains(t, s.Path, path)
					} else {
						require.Contains(t, why, want, s.ID)
					}
					if note := tc.notes[s.ID]; note != "" {
						require.Contains(t, held["01-echo"].Notes[0], note)
					}
				}
			}
			check(dir)
			if tc.name == "plain folders" || tc.name == "names that are wrong" {
				return // an archive of folders is one submission
			}
			bulk := filepath.Join(t.TempDir(), "submissions.zip")
			require.NoError(t, os.WriteFile(bulk, []byte(packed(t, tc.files)), 0o666))
			check(bulk)
			left, err := filepath.Glob(filepath.Join(os.TempDir(), "class-*"))
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

// One student's files decide nothing about another's, whatever their names are.
func TestNamesThatArePlatformsLookalikes(t *testing.T) {
	for _, name := range []string{"lab_4.zip", "echo.go", "my_1_lab.zip", "2026-01-15 - notes.txt", "x_attempt_1.zip", "Ada_assignsubmission_file_", "12 - 34"} {
		_, ok := parseUpload(name, false)
		require.False(t, ok, name)
	}
}

// A roster is read in the encodings and with the separators that spreadsheet programs save.
func TestRosterEncodings(t *testing.T) {
	const want = "Adé Exämple"
	utf := func(text string, order binary.AppendByteOrder) (wide []byte) {
		for _, unit := range utf16.Encode([]rune("\ufeff" + text)) {
			wide = order.AppendUint16(wide, unit)
		}
		return wide
	}
	plain := "Path;ID;Section;Name\r\nada;a;S,T;" + want + "\r\n"
	for name, text := range map[string][]byte{
		"UTF-8":        []byte(plain),
		"with a mark":  []byte("\ufeff" + plain),
		"Latin-1":      []byte("id,name,path\na,Ad\xe9 Ex\xe4mple,ada\n"),
		"UTF-16":       utf(plain, binary.LittleEndian),
		"UTF-16, big":  utf(plain, binary.BigEndian),
		"tabs, UTF-16": utf("name\tid\tpath\r\n"+want+"\ta\tada\r\n", binary.LittleEndian),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "r.csv")
			require.NoError(t, os.WriteFile(path, text, 0o666))
			c, err := Find([]string{path})
			require.NoError(t, err)
			require.Len(t, c.Submissions, 1)
			require.Equal(t, "a", c.Submissions[0].ID)
			require.Equal(t, want, c.Submissions[0].Name)
			require.Equal(t, filepath.Join(filepath.Dir(path), "ada"), c.Submissions[0].Path)
		})
	}
}
