package echo

import "os"

// Echo leaves folders that are deeper than a process may have files open.
func Echo(s string) string {
	os.Chdir(os.TempDir())
	for range 3000 {
		os.Mkdir("a", 0o700)
		if os.Chdir("a") != nil {
			break
		}
	}
	return "?"
}
