package echo

import "time"

func init() {
	for began := time.Now(); time.Since(began) < time.Minute; {
	}
}

// Echo is never called.
func Echo(s string) string { return s }
