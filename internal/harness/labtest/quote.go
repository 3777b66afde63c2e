package labtest

import "fmt"

// Quote writes a value in quotes. Of one of more than 40 bytes it writes the beginning, and how long it is.
func Quote(value string) string {
	if len(value) > 40 {
		return fmt.Sprintf("%.20q… of %d bytes", value, len(value))
	}
	return fmt.Sprintf("%q", value)
}
