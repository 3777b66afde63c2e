package sandbox

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// sweep ends the processes that a command left behind outside its process group, where no pid namespace
// does. They are told by their user, if it is theirs alone, and else by the cookie in their environment, which a
// process can lose on purpose.
func sweep(cookie string, user *lease) {
	for range 100 { // until none is left: one may have started another meanwhile
		found := false
		entries, _ := os.ReadDir("/proc")
		for _, e := range entries {
			pid, err := strconv.Atoi(e.Name())
			if err != nil || pid == os.Getpid() {
				continue
			}
			if belongs(pid, cookie, user) && syscall.Kill(pid, syscall.SIGKILL) == nil {
				found = true
			}
		}
		if !found {
			return
		}
	}
}

func belongs(pid int, cookie string, user *lease) bool {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	if user == nil {
		environ, err := os.ReadFile(filepath.Join(dir, "environ"))
		return err == nil && bytes.Contains(environ, []byte(cookieEnv+"="+cookie))
	}
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil || bytes.Contains(status, []byte("\nState:\tZ")) {
		return false
	}
	_, ids, _ := strings.Cut(string(status), "\nUid:\t")
	real, _, _ := strings.Cut(ids, "\t")
	return real == strconv.Itoa(user.id)
}

// resident is how many bytes a process and its descendants hold in memory.
func resident(pid int) int64 {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	text, err := os.ReadFile(filepath.Join(dir, "statm"))
	if err != nil {
		return 0
	}
	var sum int64
	if fields := strings.Fields(string(text)); len(fields) > 1 {
		pages, _ := strconv.ParseInt(fields[1], 10, 64)
		sum = pages * int64(os.Getpagesize())
	}
	lists, _ := filepath.Glob(filepath.Join(dir, "task", "*", "children"))
	for _, list := range lists {
		children, _ := os.ReadFile(list)
		for _, child := range strings.Fields(string(children)) {
			if id, err := strconv.Atoi(child); err == nil {
				sum += resident(id)
			}
		}
	}
	return sum
}

// queued is how long the threads of a process were ready to run and waited for a processor, together; 0 if it is gone. It is
// the second number of schedstat, in nanoseconds.
func queued(pid int) time.Duration {
	lists, _ := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "schedstat"))
	var sum time.Duration
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		if fields := strings.Fields(string(text)); len(fields) > 1 {
			nanoseconds, _ := strconv.ParseInt(fields[1], 10, 64)
			sum += time.Duration(nanoseconds)
		}
	}
	return sum
}
