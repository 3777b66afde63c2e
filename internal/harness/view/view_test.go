package view

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/trace"
	"distlabs/labrpc"
)

// WriteFile makes its folder, writes the same page as HTML with the package's sources, and leaves nothing else.
func TestWriteFile(t *testing.T) {
	lab := filepath.Join(t.TempDir(), "view")
	path := filepath.Join(lab, ".labs", "TestX-1.html")
	require.NoError(t, os.MkdirAll(lab, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(lab, "sample_test.go"), []byte(strings.Repeat("// the student's line\n", 100)), 0o644))
	require.NoError(t, WriteFile(path, small(t)))
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(page), "the student's line")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o644), info.Mode().Perm())

	// A second page takes the place of the first; one that cannot be written leaves it alone.
	require.NoError(t, WriteFile(path, hostile(t)))
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NotEqual(t, page, after)
	require.Error(t, WriteFile(filepath.Join(path, "below a file.html"), small(t)))
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1, "what is left in the folder")
}

// A run says which file sent a message; no run can make the page show another folder's file.
func TestSourceBesideReadsOneFolder(t *testing.T) {
	root := t.TempDir()
	lab := filepath.Join(root, "04-election")
	require.NoError(t, os.MkdirAll(filepath.Join(lab, ".labs"), 0o755))
	for name, text := range map[string]string{"04-election/raft.go": "student", "04-election/key.txt": "secret", "secret.go": "secret"} {
		require.NoError(t, os.WriteFile(filepath.Join(root, filepath.FromSlash(name)), []byte(text), 0o644))
	}
	require.NoError(t, os.Symlink(filepath.Join(root, "secret.go"), filepath.Join(lab, "link.go")))
	for _, dir := range []string{lab, filepath.Join(lab, ".labs")} {
		read := SourceBeside(dir)
		text, err := read("04-election/raft.go")
		require.NoError(t, err)
		require.Equal(t, "student", string(text))
		for _, file := range []string{"04-election/key.txt", "04-election/link.go", "04-election/../secret.go", "/etc/passwd", "05/raft.go",
			"raft.go", "", "04-election/missing.go", filepath.Join(root, "secret.go")} {
			_, err := read(file)
			require.Error(t, err, file)
		}
	}
}

// Links that would run something are dropped; lines beyond the file, and files that cannot be read, are no error.
func TestSnips(t *testing.T) {
	run := small(t)
	opts := Options{Link: func(file string, line int) string { return "javascript:alert(1)" },
		Source: func(string) ([]byte, error) { return []byte("one line"), nil }}
	s := opts.snips(run)["view/sample_test.go:81"]
	require.Equal(t, &snip{File: "view/sample_test.go", Line: 81}, s)
	opts = Options{Link: func(file string, line int) string { return "vscode://file/" + file },
		Source: func(string) ([]byte, error) { return nil, errors.New("unreadable") }}
	require.Equal(t, "vscode://file/view/sample_test.go", opts.snips(run)["view/sample_test.go:81"].Link)
	for _, bad := range []string{"", "x", "x:", "x:0", "x:-1", ":"} {
		_, _, ok := cutLine(bad)
		require.False(t, ok, bad)
	}
}

// The policy in the page names exactly its own script and style, so that the page works and nothing else does.
func TestPolicyNamesTheScript(t *testing.T) {
	var page bytes.Buffer
	require.NoError(t, HTML(&page, hostile(t), Options{}))
	text := page.String()
	begin := strings.LastIndex(text, "<script>") + len("<script>")
	require.Contains(t, text, "script-src "+hashOf(text[begin:strings.LastIndex(text, "</script>")])+";")
	begin = strings.Index(text, "<style>") + len("<style>")
	require.Contains(t, text, "style-src "+hashOf(text[begin:strings.Index(text, "</style>")]))
	require.Contains(t, text, `content="default-src 'none'; base-uri 'none'; form-action 'none'; script-src 'sha256-`)
	require.NotContains(t, text, "unsafe")
}

// What says nothing new is routine; what moved somebody, met a fault of its own, or belongs to such a message is not.
func TestRoutine(t *testing.T) {
	s := newLogWriter(trace.Header{Nodes: 3})
	s.start(3)
	beat := func(term int, arrive func(labrpc.Event)) (first int) {
		s.wait(10 * time.Millisecond)
		first = int(s.seq)
		e := s.send(1, 2, "Beat", term)
		s.wait(time.Millisecond)
		arrive(e)
		return first
	}
	quiet := beat(1, s.deliver)
	repeat := beat(1, s.deliver)
	lost := beat(1, func(e labrpc.Event) { s.lose(e, "loss") })
	cut := beat(1, func(e labrpc.Event) { s.lose(e, "cut") })
	moved := beat(1, func(e labrpc.Event) { s.deliver(e); s.note(2, "role", "follower") })
	same := beat(1, func(e labrpc.Event) { s.deliver(e); s.note(2, "role", "follower") })
	wrote := beat(1, func(e labrpc.Event) {
		s.deliver(e)
		s.event(labrpc.Event{Kind: labrpc.EventWrote, Node: 2, Name: "term"})
	})
	newer := beat(2, s.deliver)
	call := func(answer int) (first int) {
		s.wait(10 * time.Millisecond)
		first = int(s.seq)
		request := s.send(1, 3, "Ask", "same")
		s.deliver(request)
		s.msg++
		reply := labrpc.Event{Kind: labrpc.EventSent, Node: 3, Msg: s.msg, From: 3, To: 1, Method: "Ask", Message: labrpc.Reply, ReplyTo: request.Msg, Body: answer}
		s.event(reply)
		s.deliver(reply)
		return first
	}
	call(1)
	answered := call(1)
	changed := call(2)
	got := findRoutine(s.rec.Run())
	for name, tt := range map[string]struct {
		step int
		want []bool
	}{
		"the first of its kind":             {quiet, []bool{false, false}},
		"a repetition":                      {repeat, []bool{true, true}},
		"a repetition that is lost":         {lost, []bool{false, false}},
		"a repetition that meets a cut":     {cut, []bool{true, true}},
		"a repetition that moves a node":    {moved, []bool{false, false, false}},
		"a note that changes nothing":       {same, []bool{true, true, true}},
		"a write because of a repetition":   {wrote, []bool{true, true, true}},
		"a message that says something new": {newer, []bool{false, false}},
		"a call that repeats":               {answered, []bool{true, true, true, true}},
		"a call with another answer":        {changed, []bool{false, false, false, false}},
	} {
		require.Equal(t, tt.want, got[tt.step:tt.step+len(tt.want)], name)
	}
}
