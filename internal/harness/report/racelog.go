package report

import (
	"os"
	"strconv"
	"strings"
)

// RaceLog returns what the race detector of this process has written to the file that GORACE names (log_path), or nothing
// if it names none.
func RaceLog() []byte {
	_, path, found := strings.Cut(os.Getenv("GORACE"), "log_path=")
	if !found {
		return nil
	}
	if quoted, after := strings.CutPrefix(path, `"`); after {
		path, _, _ = strings.Cut(quoted, `"`)
	} else {
		path, _, _ = strings.Cut(path, " ")
	}
	text, err := os.ReadFile(path + "." + strconv.Itoa(os.Getpid()))
	if err != nil {
		return nil
	}
	return text
}
