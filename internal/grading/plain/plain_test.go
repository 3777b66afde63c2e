package plain

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestText(t *testing.T) {
	require.Equal(t, "Émilie du Châtelet: x ≤ 3, 日本", Text("Émilie du Châtelet: x ≤ 3, 日本"))
	require.Equal(t, "a?b?c?d?e?f?g?h?i?j", Text("a\nb\tc\x1bd\u0085e\u2028f\u202eg\u2066h\u200fi\ufeffj"))
	require.Equal(t, "a\n\tb\nc?d?e", Lines("a\n\tb\r\nc\u202ed\x00e"))
	require.Equal(t, "a?b", Text("a\xffb"))
}

func TestCut(t *testing.T) {
	require.Equal(t, "abc", Cut("abc", 3))
	require.Equal(t, "ab…", Cut("abc", 2))
	require.Equal(t, "…", Cut("é", 1))
	require.Len(t, Word(strings.Repeat("x", 999)), maxWord+len("…"))
}
