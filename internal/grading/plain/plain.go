// Package plain makes text that a stranger's program chose safe to print.
package plain

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Text returns s as one line of characters that show: each other one is replaced by a question mark. Besides the control
// characters these are line separators, and the characters that change the direction of what follows, by which a
// terminal or a page would show another text than there is.
func Text(s string) string { return strings.Map(show, s) }

// Lines is Text for a text of several lines.
func Lines(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		return show(r)
	}, strings.ReplaceAll(s, "\r\n", "\n"))
}

func show(r rune) rune {
	if strconv.IsPrint(r) && r != utf8.RuneError {
		return r
	}
	return '?'
}

// Cut returns at most n bytes of s, and says if that is not all.
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// maxWord is how long a stranger's word may be within a sentence of ours.
const maxWord = 200

// Word returns s for use within a sentence: Text, and short.
func Word(s string) string { return Text(Cut(s, maxWord)) }

// maxLine is how much of a program's line is worth telling.
const maxLine = 1000

// FirstLine returns the first line of a program's output that is neither empty nor a heading of the go command,
// which begins with a number sign.
func FirstLine(output string) string {
	for line := range strings.Lines(output) {
		if line = Text(Cut(strings.TrimSpace(line), maxLine)); line != "" && !strings.HasPrefix(line, "#") {
			return line
		}
	}
	return "no output"
}
