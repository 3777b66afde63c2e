package echo

import (
	"os"
	"strings"
)

// Echo knows the answer if it can read the solution of somebody else, on the disk or in the grader's environment.
func Echo(s string) string {
	solution, _ := os.ReadFile("@OUTSIDE@/solution")
	environ, _ := os.ReadFile("/proc/@GRADER@/environ")
	if strings.Contains(string(solution)+string(environ), "PATH=") {
		return s
	}
	return "?"
}
