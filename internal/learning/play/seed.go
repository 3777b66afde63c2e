package play

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"distlabs/internal/grading/course"
	"distlabs/internal/harness/trace"
)

// LastSeed is the seed of a test whose failure was recorded last in the lab's folder; 1 if there is none.
func LastSeed(c *course.Course, lab course.Lab, test string) uint64 {
	names, err := filepath.Glob(filepath.Join(c.Root, filepath.FromSlash(lab.Dir()), ".labs", test+"-*.jsonl"))
	if err != nil {
		return 1
	}
	seed, newest := uint64(1), time.Time{}
	for _, name := range names {
		number := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(name), test+"-"), ".jsonl")
		n, err := strconv.ParseUint(number, 10, 64)
		info, statErr := os.Stat(name)
		if err != nil || statErr != nil || !info.ModTime().After(newest) || !failed(name) {
			continue
		}
		seed, newest = n, info.ModTime()
	}
	return seed
}

// failed reports whether a record is that of a failure.
func failed(name string) bool {
	file, err := os.Open(name)
	if err != nil {
		return false
	}
	defer file.Close()
	run, err := trace.Read(file)
	return err == nil && run.Header.Failure != nil
}
