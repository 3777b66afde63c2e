// Package plain makes text that a stranger's program chose safe to print.
package plain

import "strings"

// Text returns s as one line without control characters: each is replaced by a question mark.
func Text(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

// FirstLine returns the first line of a program's output that is neither empty nor a heading of the go command,
// which begins with a number sign.
func FirstLine(output string) string {
	for line := range strings.Lines(output) {
		if line = Text(strings.TrimSpace(line)); line != "" && !strings.HasPrefix(line, "#") {
			return line
		}
	}
	return "no output"
}
