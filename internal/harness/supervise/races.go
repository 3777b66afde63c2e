package supervise

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// raceLog is the folder into which the child's race detector writes.
// Without the race detector it is empty and names none.
type raceLog struct{ dir string }

// watchRaces has the child's race detector write into a folder of ours, go on
// after a race, and not sleep at the end. What the user set in GORACE stays, but
// for these three.
func watchRaces(child *exec.Cmd) (raceLog, error) {
	if !raceEnabled {
		return raceLog{}, nil
	}
	dir, err := os.MkdirTemp("", "labs-race-")
	if err != nil {
		return raceLog{}, err
	}
	user := ""
	for _, v := range child.Env {
		if value, ok := strings.CutPrefix(v, "GORACE="); ok {
			user = value + " "
		}
	}
	path := `log_path="` + filepath.Join(dir, "race") + `"` // the folder's name may hold a space
	child.Env = append(child.Env, "GORACE="+user+"halt_on_error=0 atexit_sleep_ms=0 "+path)
	return raceLog{dir: dir}, nil
}

// text returns what the race detector wrote.
func (r raceLog) text() []byte {
	if r.dir == "" {
		return nil
	}
	files, _ := filepath.Glob(filepath.Join(r.dir, "race.*")) // the pattern is well formed
	var all [][]byte
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil {
			all = append(all, text)
		}
	}
	return bytes.Join(all, []byte("\n"))
}

func (r raceLog) remove() {
	if r.dir != "" {
		os.RemoveAll(r.dir)
	}
}
