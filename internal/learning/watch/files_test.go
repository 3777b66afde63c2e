package watch

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/passed"
	"distlabs/internal/learning/learn"
)

// Every way in which editors save is one message, with the file's name.
func TestFilesSeesEverySave(t *testing.T) {
	c := testCourse(t)
	ctx, cancel := context.WithCancel(t.Context())
	saved := make(chan []learn.File, 100)
	over := make(chan bool)
	long := pace{settle: time.Second, poll: time.Hour}.begin(c) // a busy machine pauses between two writes, too
	go func() {
		defer close(over)
		long.Run(ctx, func(files []learn.File) { saved <- files }, func() {})
	}()
	dir := filepath.Join(c.Root, "labs", "01-echo")
	path := filepath.Join(dir, "echo.go")
	write := func(path, text string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o666)) }
	for _, tc := range []struct {
		name string
		save func()
	}{
		{"in place", func() { write(path, "package echo // 1") }},
		{"in several writes", func() {
			write(path, "")
			time.Sleep(10 * time.Millisecond)
			write(path, "package echo // 22")
		}},
		{"by renaming over it", func() {
			write(path+".tmp", "package echo // 333")
			require.NoError(t, os.Rename(path+".tmp", path))
		}},
		{"with a backup, as vim does", func() {
			require.NoError(t, os.Rename(path, path+"~"))
			time.Sleep(10 * time.Millisecond)
			write(path, "package echo // 4444")
			require.NoError(t, os.Remove(path+"~"))
		}},
	} {
		tc.save()
		select {
		case files := <-saved:
			require.Equal(t, []learn.File{{Lab: "01-echo", Name: "echo.go"}}, files, tc.name)
		case <-time.After(20 * time.Second):
			t.Fatal("not seen: " + tc.name)
		}
	}
	write(filepath.Join(dir, "notes.txt"), "no file of the lab")
	time.Sleep(2 * long.settle)
	cancel()
	<-over
	require.Empty(t, saved, "one message a save")
}

// Where the system tells nothing, looking finds it: the file's folder stays as it is, and what the file links to is
// written in another, as on a drive of the network.
func TestFilesPolls(t *testing.T) {
	c := testCourse(t)
	path, other := filepath.Join(c.Root, "labs", "02-count", "count.go"), filepath.Join(t.TempDir(), "count.go")
	require.NoError(t, os.Rename(path, other))
	require.NoError(t, os.Symlink(other, path))
	ctx, cancel := context.WithCancel(t.Context())
	saved, over := make(chan []learn.File, 100), make(chan bool)
	w := pace{settle: time.Millisecond, poll: 10 * time.Millisecond}.begin(c)
	go func() {
		defer close(over)
		w.Run(ctx, func(files []learn.File) { saved <- files }, func() {})
	}()
	require.NoError(t, os.WriteFile(other, []byte("package count // another"), 0o666))
	select {
	case files := <-saved:
		require.Equal(t, []learn.File{{Lab: "02-count", Name: "count.go"}}, files)
	case <-time.After(20 * time.Second):
		t.Fatal("not seen")
	}
	cancel()
	<-over
}

// What is saved before Run, while the code is built for the first time, is told.
func TestRunTellsOfSavesBefore(t *testing.T) {
	c := testCourse(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := pace{settle: time.Millisecond, poll: 10 * time.Millisecond}.begin(c)
	require.NoError(t, os.WriteFile(filepath.Join(c.Root, "labs", "01-echo", "echo.go"), []byte("package echo // earlier"), 0o666))
	w.Run(ctx, func(files []learn.File) {
		require.Equal(t, []learn.File{{Lab: "01-echo", Name: "echo.go"}}, files)
		cancel()
	}, func() {})
}

// A file that is missing is about to come back.
func TestChanged(t *testing.T) {
	c := testCourse(t)
	before := stamps(c)
	require.Empty(t, changed(c, before, stamps(c)))
	path := filepath.Join(c.Root, "labs", "02-count", "count.go")
	require.NoError(t, os.Chtimes(path, time.Time{}, time.Now().Add(time.Minute)))
	require.Equal(t, []learn.File{{Lab: "02-count", Name: "count.go"}}, changed(c, before, stamps(c)))
	require.NoError(t, os.Remove(path))
	require.Empty(t, changed(c, before, stamps(c)), "it is about to come back")
}

// What passes under plain go test is seen too.
func TestFilesSeesPassesOfGoTest(t *testing.T) {
	c := testCourse(t)
	ctx, cancel := context.WithCancel(t.Context())
	tested, over := make(chan bool, 100), make(chan bool)
	w := pace{settle: time.Millisecond, poll: 10 * time.Millisecond}.begin(c)
	go func() {
		defer close(over)
		w.Run(ctx, func([]learn.File) {}, func() { tested <- true })
	}()
	require.NoError(t, passed.Add(filepath.Join(c.Root, "labs", "02-count"), time.Now().Add(time.Hour), []string{"TestCounts2A"}))
	select {
	case <-tested:
	case <-time.After(20 * time.Second):
		t.Fatal("not seen")
	}
	cancel()
	<-over
}
