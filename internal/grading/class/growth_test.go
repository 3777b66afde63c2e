package class_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/class"
	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/gradetest"
)

func TestMain(m *testing.M) { os.Exit(gradetest.Main(m)) }

// What a class costs: processor time and files per submission, which should not grow with the class, and the grader's own memory, which
// should hardly. The course is the grader's own small one, so that what is measured is the grader's work and not the labs'.
//
//	go test -run '^$' -bench Class -benchtime 1x ./internal/grading/class
func BenchmarkClass(b *testing.B) {
	for _, submissions := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(submissions), func(b *testing.B) {
			for b.Loop() {
				summary, heap := gradeClass(b, submissions)
				b.ReportMetric(1000*summary.CPU.Seconds()/float64(submissions), "cpu-ms/submission")
				b.ReportMetric(float64(heap)/(1<<20), "MB-heap")
			}
		})
	}
}

// gradeClass grades so many different submissions, and returns the most memory that the grader's heap held meanwhile.
func gradeClass(b *testing.B, submissions int) (class.Summary, uint64) {
	root := b.TempDir()
	require.NoError(b, gradetest.NewCourse(root))
	c, err := course.Load(root)
	require.NoError(b, err)
	selected, err := c.Select("01")
	require.NoError(b, err)
	dir := b.TempDir()
	for i := range submissions {
		of := filepath.Join(dir, "class", fmt.Sprintf("student%04d", i))
		require.NoError(b, os.MkdirAll(of, 0o777))
		for _, name := range selected[0].Lab.Files() {
			text, err := os.ReadFile(filepath.Join(root, selected[0].Lab.SolutionDir(), name))
			require.NoError(b, err)
			require.NoError(b, os.WriteFile(filepath.Join(of, name), fmt.Appendf(text, "\n// %d\n", i), 0o666))
		}
	}
	found, err := class.Find([]string{filepath.Join(dir, "class")})
	require.NoError(b, err)
	defer found.Close()
	g, err := grade.New(b.Context(), c, grade.Options{})
	require.NoError(b, err)
	defer g.Close()

	over, most := make(chan struct{}), make(chan uint64)
	go func() { most <- mostHeap(over) }()
	summary, err := class.Grade(b.Context(), g, found, class.Options{Out: filepath.Join(dir, "out"), Selected: selected})
	close(over)
	require.NoError(b, err)
	require.Equal(b, submissions, summary.Done)
	require.Zero(b, summary.Ungraded)
	return summary, <-most
}

// mostHeap returns the most that the heap has in use until over is closed.
func mostHeap(over <-chan struct{}) uint64 {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	var m runtime.MemStats
	most := uint64(0)
	for {
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapInuse)
		select {
		case <-ticker.C:
		case <-over:
			return most
		}
	}
}
