package watch

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseKeys(t *testing.T) {
	for _, tc := range []struct {
		name, typed string
		want        []Key
	}{
		{"letters, in either case", "hR", []Key{"h", "r"}},
		{"arrows", "\x1b[A\x1bOB", []Key{KeyUp, KeyDown}},
		{"other keys with long names", "\x1b[15~\x1b[1;5Cq", []Key{"q"}},
		{"escape", "\x1b", []Key{KeyEsc}},
		{"enter", "\r", []Key{KeyEnter}},
		{"Ctrl-C and Ctrl-D", "\x03\x04", []Key{"q", "q"}},
		{"a cut sequence, other bytes", "\x1b[\x00\xff", nil},
	} {
		t.Run(tc.name, func(t *testing.T) { require.Equal(t, tc.want, parseKeys([]byte(tc.typed))) })
	}
}
