package watch

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"distlabs/internal/grading/course"
	"distlabs/internal/learning/learn"
)

// pace is when files are looked at.
type pace struct {
	// settle is how long no more is written before files are looked at: an editor
	// may save in several writes, or write another file and rename it.
	settle time.Duration
	// poll is how often files are looked at in any case. Where the system's
	// notification works it finds nothing new; on network drives and in some
	// containers it is all that there is.
	poll time.Duration
}

var usual = pace{settle: 60 * time.Millisecond, poll: time.Second}

// stamp tells one state of a file from another.
type stamp struct {
	size     int64
	modified time.Time
}

// A Watch tells of the students' files that have been saved since it began.
type Watch struct {
	pace
	course *course.Course
	last   map[learn.File]stamp
	passes map[string]stamp
}

// Begin begins a Watch. What is saved before its Run is told there.
func Begin(c *course.Course) *Watch { return usual.begin(c) }

func (p pace) begin(c *course.Course) *Watch {
	return &Watch{pace: p, course: c, last: stamps(c), passes: passStamps(c)}
}

// Run calls saved with the files that were saved, after each time that some were, and tested when tests passed under
// plain go test, until the context ends.
func (w *Watch) Run(ctx context.Context, saved func([]learn.File), tested func()) {
	events, wake := notification(w.course)
	if events != nil {
		defer events.Close()
	}
	ticker := time.NewTicker(w.poll)
	defer ticker.Stop()
	w.settled(ctx, wake)
	for {
		now := stamps(w.course)
		if files := changed(w.course, w.last, now); len(files) > 0 {
			saved(files)
		}
		if now := passStamps(w.course); !maps.Equal(now, w.passes) {
			w.passes = now
			tested()
		}
		for f, s := range now { // a file that is missing is being replaced: keep what it was
			w.last[f] = s
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-wake:
			w.settled(ctx, wake)
		}
	}
}

// notification is the system's, of the labs' folders: a file that is replaced
// by another of its name would be watched no more. Both are nil where it has none.
func notification(c *course.Course) (*fsnotify.Watcher, <-chan fsnotify.Event) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, nil
	}
	for _, lab := range c.Labs {
		if err := w.Add(filepath.Join(c.Root, filepath.FromSlash(lab.Dir()))); err != nil {
			w.Close()
			return nil, nil
		}
	}
	go func() {
		for range w.Errors { // an overflow, say: polling makes good for it
		}
	}()
	return w, w.Events
}

// settled waits until nothing has been written for a short time, but not forever.
func (p pace) settled(ctx context.Context, wake <-chan fsnotify.Event) {
	limit := time.After(10 * p.settle)
	for {
		select {
		case _, open := <-wake:
			if !open {
				return
			}
		case <-time.After(p.settle):
			return
		case <-limit:
			return
		case <-ctx.Done():
			return
		}
	}
}

// stamps is the state of every file that a student edits.
func stamps(c *course.Course) map[learn.File]stamp {
	now := map[learn.File]stamp{}
	for _, lab := range c.Labs {
		for _, name := range lab.Files() {
			info, err := os.Stat(filepath.Join(c.Root, filepath.FromSlash(lab.Dir()), name))
			if err == nil {
				now[learn.File{Lab: lab.ID, Name: name}] = stamp{info.Size(), info.ModTime()}
			}
		}
	}
	return now
}

// passStamps is the state of what go test remembers in each lab's folder.
func passStamps(c *course.Course) map[string]stamp {
	now := map[string]stamp{}
	for _, lab := range c.Labs {
		info, err := os.Stat(filepath.Join(c.Root, filepath.FromSlash(lab.Dir()), filepath.FromSlash(learn.PassedFile)))
		if err == nil {
			now[lab.ID] = stamp{info.Size(), info.ModTime()}
		}
	}
	return now
}

// changed lists, in the order of the course, the files that are not what they were.
func changed(c *course.Course, last, now map[learn.File]stamp) (files []learn.File) {
	for _, lab := range c.Labs {
		for _, name := range lab.Files() {
			f := learn.File{Lab: lab.ID, Name: name}
			if s, there := now[f]; there && s != last[f] {
				files = append(files, f)
			}
		}
	}
	return files
}
