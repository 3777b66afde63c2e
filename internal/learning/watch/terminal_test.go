package watch

import (
	"strings"
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

// A screen is painted over the one before without a trace of it, also where the terminal wraps a line.
func TestPainting(t *testing.T) {
	s := Screen{Width: 10, Height: 5}
	require.Equal(t, "\x1b[2J\x1b[Hone\x1b[K\r\n\x1b[K\r\nexactly 10\r\n12345678901\x1b[K\x1b[J",
		painting([]string{"one", "", "exactly 10", "12345678901"}, s, true))
	require.True(t, strings.HasPrefix(painting([]string{"one"}, s, false), "\x1b[Hone\x1b[K\x1b[J"))
	require.Equal(t, "\x1b[2J\x1b[Hexactly 10", painting([]string{"exactly 10"}, s, false))
	require.Equal(t, 4, s.rows("", "1234567890", "12345678901"))
}
