package echo

import "strings"

// Echo panics with 3 MiB of text.
func Echo(s string) string { panic(strings.Repeat("A", 3<<20)) }
