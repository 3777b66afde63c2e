package echo

import "strings"

// Shout returns s in capital letters.
func Shout(s string) string {
	return strings.ToUpper(s)
}
