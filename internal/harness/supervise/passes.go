package supervise

import (
	"os"

	"distlabs/internal/harness/passed"
	"distlabs/internal/harness/report"
)

// remember keeps, in the lab's folder, which tests passed. What counts is what go test -race runs: the race detector, and
// the seeds that each test asks for. It is no reason to fail if it cannot be kept.
func remember(s *story, code int, races bool) {
	if _, err := os.Stat("lab.yaml"); err != nil || !raceEnabled || code != 0 && races {
		return
	}
	for _, name := range []string{"LABS_SEED", "LABS_SEEDS", "LABS_SOAK"} {
		if os.Getenv(name) != "" {
			return
		}
	}
	exe, err := os.Executable()
	if err != nil {
		return
	}
	info, err := os.Stat(exe)
	if err != nil {
		return
	}
	_ = passed.Add(".", info.ModTime(), s.passed())
}

// passed lists the tests that passed, every time that they ran.
func (s *story) passed() (names []string) {
	bad := map[string]bool{}
	for _, t := range s.tests {
		if t.result == nil || t.result.Status != report.Pass {
			bad[t.name] = true
		}
	}
	for _, t := range s.tests {
		if !bad[t.name] {
			names = append(names, t.name)
		}
	}
	return names
}
