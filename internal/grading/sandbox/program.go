package sandbox

import "os"

// other is the program that serves in place of this one; "": this one does.
var other string

// ServeWith has another program serve in place of this one, as launcher and as gate: one that calls [Serve], too. Tests that start
// thousands of processes have one without the race detector. It is called before any command runs.
func ServeWith(path string) { other = path }

// Program is the path of the program that serves: this one, unless [ServeWith] said otherwise.
func Program() (string, error) {
	if other != "" {
		return other, nil
	}
	return os.Executable()
}
